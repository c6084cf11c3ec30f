// SPDX-License-Identifier: GPL-2.0-or-later
// ipidefer-lab, which `ipidefer lab` runs: experiments with guests. The guest's
// programs and the built-in workloads lie beside it.
#include <CLI/CLI.hpp>
#include <iostream>
#include <string>

#include "base/command_line.hpp"
#include "base/failure.hpp"
#include "base/installed.hpp"
#include "base/version.hpp"
#include "experiments/lab/lab_run.hpp"
#include "experiments/lab/options.hpp"

namespace {

int run(int argc, char** argv)
{
    CLI::App app{"ipidefer lab: experiments with guests", "ipidefer lab"};
    app.set_version_flag("--version",
                         std::string{"ipidefer-lab "} + ipidefer::kVersion);
    app.require_subcommand(1);
    ipidefer::lab::RawOptions options;
    app.add_option("--shm-dir", options.shm_folder,
                   "where the VMs' segments are")
        ->envname("IPIDEFER_SHM_DIR");
    auto* lab_run = app.add_subcommand(
        "run",
        "boot a guest per mode, run workloads, and show what is aimed at its "
        "isolated vCPUs and what reaches them");
    ipidefer::lab::add_options(*lab_run, options);
    lab_run->footer(
        "Exit status: 0 done, 1 could not run, 2 the run shows a defect,\n"
        "77 not possible here.");
    if (const auto status = ipidefer::parse_command_line(app, argc, argv))
        return *status;

    const auto guest_programs = ipidefer::installed("lab-agent").parent_path();
    if (options.list_workloads) {
        for (const auto& name :
             ipidefer::lab::built_in_workloads(guest_programs))
            std::cout << name << '\n';
        return static_cast<int>(ipidefer::Exit::kDone);
    }
    return ipidefer::lab::lab_run(options, guest_programs, {argv, argv + argc});
}

}  // namespace

int main(int argc, char** argv)
{
    return ipidefer::main_of("ipidefer lab", [&] { return run(argc, argv); });
}
