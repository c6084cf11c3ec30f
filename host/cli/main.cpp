// SPDX-License-Identifier: GPL-2.0-or-later
// The command line: list, stat, top, policy and trace of running VMs; check and
// domain; lab run; bench core and kvm.
#include <ipidefer/shm.h>

#include <CLI/CLI.hpp>
#include <exception>
#include <filesystem>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "base/failure.hpp"
#include "base/text.hpp"
#include "base/version.hpp"
#include "host/cli/bench_core.hpp"
#include "host/cli/bench_kvm.hpp"
#include "host/cli/command.hpp"
#include "host/lab/lab_run.hpp"
#include "host/lab/options.hpp"

namespace {

namespace fs = std::filesystem;
using ipidefer::Exit;
using ipidefer::Failure;

fs::path own_folder()
{
    return fs::read_symlink("/proc/self/exe").parent_path();
}

/// Beside the program in a build, in libexec once installed.
fs::path guest_programs()
{
    const fs::path here = own_folder();
    for (const fs::path& folder :
         {here / "guest", here.parent_path() / "libexec" / "ipidefer"})
        if (fs::exists(folder / "lab-agent")) return folder;
    throw Failure{Exit::kCannotRun,
                  "no lab-agent in " + (here / "guest").string() + " or " +
                      (here.parent_path() / "libexec/ipidefer").string()};
}

int run(int argc, char** argv)
{
    CLI::App app{"ipidefer: hypervisor-side deferral of x86 IPIs", "ipidefer"};
    app.set_version_flag("--version",
                         std::string{"ipidefer "} + ipidefer::kVersion);
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
    for (const auto add : {ipidefer::cli::add_list, ipidefer::cli::add_stat,
                           ipidefer::cli::add_top, ipidefer::cli::add_policy,
                           ipidefer::cli::add_trace, ipidefer::cli::add_check,
                           ipidefer::cli::add_domain}) {
        auto run = add(app, place);
        commands[app.get_subcommands(nullptr).back()] = std::move(run);
    }

    auto* lab = app.add_subcommand("lab", "experiments with guests");
    lab->require_subcommand(1);
    auto* lab_run = lab->add_subcommand(
        "run",
        "boot a guest per mode, run workloads, and show what is aimed at its "
        "isolated vCPUs and what reaches them");
    ipidefer::lab::RawOptions options;
    ipidefer::lab::add_options(*lab_run, options);
    lab_run->footer(
        "Exit status: 0 done, 1 could not run, 2 the run shows a defect,\n"
        "77 not possible here.");

    auto* bench = app.add_subcommand("bench", "benchmarks");
    bench->require_subcommand(1);
    auto* bench_core = bench->add_subcommand(
        "core", "what a decision costs, in units of a bare lock cmpxchg");
    std::vector<std::string> benchmark_arguments;
    bench_core->add_option("arguments", benchmark_arguments,
                           "for Google Benchmark, after --");

    auto* bench_kvm = bench->add_subcommand(
        "kvm",
        "what delivered and deferred IPIs cost a loop and their sender, on "
        "real KVM exits");
    ipidefer::cli::BenchKvmOptions kvm_options;
    ipidefer::cli::add_options(*bench_kvm, kvm_options);

    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        // The parser misses a command before it looks at what is in its place.
        if (const auto rest = app.remaining(true);
            dynamic_cast<const CLI::RequiredError*>(&error) != nullptr &&
            !rest.empty() && !rest.front().starts_with('-'))
            throw Failure{Exit::kCannotRun,
                          "'" + ipidefer::printable(rest.front()) +
                              "' is no command here, see --help"};
        return app.exit(error) == 0 ? static_cast<int>(Exit::kDone)
                                    : static_cast<int>(Exit::kCannotRun);
    }

    if (const auto command = commands.find(app.get_subcommands().front());
        command != commands.end())
        return command->second();
    if (*bench_core)
        return ipidefer::cli::bench_core(own_folder() / "ipidefer-bench-core",
                                         benchmark_arguments);
    if (*bench_kvm)
        return ipidefer::cli::bench_kvm(own_folder() / "ipidefer-vmm",
                                        guest_programs() / "kvm-guest.elf",
                                        kvm_options);
    if (options.list_workloads) {
        for (const auto& name :
             ipidefer::lab::built_in_workloads(guest_programs()))
            std::cout << name << '\n';
        return static_cast<int>(Exit::kDone);
    }
    options.shm_folder = place.directory;
    return ipidefer::lab::lab_run(options, guest_programs(),
                                  {argv, argv + argc});
}

}  // namespace

int main(int argc, char** argv)
{
    try {
        return run(argc, argv);
    } catch (const Failure& failure) {
        std::cerr << "ipidefer: " << failure.what() << '\n' << failure.detail();
        return static_cast<int>(failure.exit());
    } catch (const std::exception& error) {
        std::cerr << "ipidefer: " << error.what() << '\n';
        return static_cast<int>(Exit::kCannotRun);
    }
}
