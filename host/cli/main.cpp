// SPDX-License-Identifier: GPL-2.0-or-later
// The command line: list, stat, top, policy and trace of running VMs; check and
// domain; and lab and bench, which are programs of their own, as git's are.
#include <ipidefer/shm.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "base/command_line.hpp"
#include "base/failure.hpp"
#include "base/installed.hpp"
#include "base/option_value.hpp"
#include "base/process.hpp"
#include "base/version.hpp"
#include "host/cli/command.hpp"

namespace {

/// Commands that are programs of their own, which may be installed or not.
struct External {
    const char* name;
    const char* program;
    const char* what;
};
constexpr External kExternal[] = {
    {"lab", "ipidefer-lab", "experiments with guests"},
    {"bench", "ipidefer-bench", "benchmarks"},
};

/// Becomes the program of a command. What of our own options it needs it has
/// from the environment.
[[noreturn]] void become(const External& external,
                         const ipidefer::segment::Place& place,
                         const std::vector<std::string>& arguments)
{
    const auto program = ipidefer::installed(external.program);
    if (!place.directory.empty())
        ::setenv("IPIDEFER_SHM_DIR", place.directory.c_str(), 1);
    ipidefer::become_program(program, arguments);
}

/// A script with a variable that is empty would believe that it had asked for
/// something: none of our own options has a use for an empty value.
void refuse_empty_values(const CLI::App& command)
{
    for (const CLI::Option* option : command.parse_order())
        for (const std::string& value : option->results())
            if (value.empty())
                ipidefer::refuse_option(
                    option->get_name(),
                    "'' is no value: it needs one, or is left out");
}

int run(int argc, char** argv)
{
    CLI::App app{"ipidefer: hypervisor-side deferral of x86 IPIs", "ipidefer"};
    app.set_version_flag("--version", ipidefer::version_text("ipidefer"));
    app.require_subcommand(1);

    ipidefer::segment::Place place;
    std::vector<std::string> owners;
    app.add_option("--shm-dir", place.directory,
                   "where the VMs' segments are (default: a folder "
                   "in " IPIDEFER_SHM_PARENT " for each owner)")
        ->envname("IPIDEFER_SHM_DIR");
    app.add_option("--owner", owners,
                   "a user whose VMs to look at; repeatable (default: root, "
                   "you, libvirt-qemu)")
        ->expected(1)
        ->take_all();
    app.parse_complete_callback(
        [&] { place.owners = ipidefer::segment::users_of(owners); });
    std::map<const CLI::App*, ipidefer::cli::Run> commands;
    for (const auto add :
         {ipidefer::cli::add_list, ipidefer::cli::add_stat,
          ipidefer::cli::add_top, ipidefer::cli::add_policy,
          ipidefer::cli::add_trace, ipidefer::cli::add_blame,
          ipidefer::cli::add_check, ipidefer::cli::add_domain}) {
        auto run = add(app, place);
        commands[app.get_subcommands(nullptr).back()] = std::move(run);
    }

    std::map<const CLI::App*, const External*> external;
    for (const External& one : kExternal) {
        auto* command = app.add_subcommand(one.name, one.what);
        // All that follows is the program's.
        command->prefix_command()->set_help_flag();
        external[command] = &one;
    }

    if (const auto status = ipidefer::parse_command_line(app, argc, argv))
        return *status;

    auto* const command = app.get_subcommands().front();
    if (const auto found = external.find(command); found != external.end())
        become(*found->second, place, command->remaining());
    refuse_empty_values(*command);
    return commands.at(command)();
}

}  // namespace

int main(int argc, char** argv)
{
    return ipidefer::main_of("ipidefer", [&] { return run(argc, argv); });
}
