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
#include "experiments/compare/compare.hpp"
#include "experiments/lab/box_options.hpp"
#include "experiments/lab/kvm_probe.hpp"
#include "experiments/lab/kvm_report.hpp"
#include "experiments/lab/lab_run.hpp"
#include "experiments/lab/options.hpp"
#include "experiments/report/show.hpp"

namespace {

int run(int argc, char** argv)
{
    CLI::App app{"ipidefer lab: experiments with guests", "ipidefer lab"};
    app.set_version_flag("--version", ipidefer::version_text("ipidefer-lab"));
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
    ipidefer::compare::RawOptions compare_options;
    auto* compare = app.add_subcommand(
        "compare", "show what differs between two reports of run");
    ipidefer::compare::add_options(*compare, compare_options);
    compare->footer(
        "Exit status: 0 done, 1 could not compare, 2 a --fail-if is so,\n"
        "77 the reports are of experiments that cannot be compared.");
    ipidefer::report::ShowOptions show_options;
    auto* show = app.add_subcommand(
        "show", "a report of run in a shape that others read");
    ipidefer::report::add_show_options(*show, show_options);
    show->footer(
        "Exit status: 0 done, 1 could not show it,\n"
        "77 the report has nothing of the kind.");
    ipidefer::lab::RawBoxOptions box_options;
    auto* box = app.add_subcommand(
        "box",
        "run a command in a KVM host under TCG: a Linux that has the files of "
        "this machine, and leaves them as they are");
    ipidefer::lab::add_box_options(*box, box_options);
    box->footer(
        "Exit status: the command's; 1 where the box has not come so far.");
    auto* kvm = app.add_subcommand(
        "kvm", "whether Linux boots under this machine's KVM");
    std::string qemu;
    std::string kernel;
    ipidefer::lab::add_qemu_and_kernel(*kvm, qemu, kernel);
    kvm->footer(
        "Exit status: 0 it does, 1 could not be tried, 77 it does not.");
    ipidefer::lab::KvmReportOptions report_options;
    auto* report = app.add_subcommand(
        "kvm-report",
        "show what deferral does on this KVM host: facts, tables and costs in "
        "one archive, to keep or to send");
    ipidefer::lab::add_kvm_report_options(*report, report_options);
    report->footer(
        "Exit status: 0 done, else that of the worst step, which is in the\n"
        "archive all the same.");
    if (const auto status = ipidefer::parse_command_line(app, argc, argv))
        return *status;

    if (show->parsed()) return ipidefer::report::show(show_options);
    if (compare->parsed()) return ipidefer::compare::compare(compare_options);
    if (box->parsed())
        return ipidefer::lab::run_in_box(
            ipidefer::lab::check_box_options(box_options));
    if (kvm->parsed()) {
        const auto why = ipidefer::lab::without_whole_kvm(
            ipidefer::lab::check_qemu(qemu),
            ipidefer::lab::check_kernel(kernel));
        std::cout << (why.empty() ? "Linux boots under KVM" : why) << '\n';
        return static_cast<int>(why.empty() ? ipidefer::Exit::kDone
                                            : ipidefer::Exit::kNotPossible);
    }

    const auto guest_programs = ipidefer::installed("lab-agent").parent_path();
    if (report->parsed())
        return ipidefer::lab::kvm_report(report_options, guest_programs,
                                         {argv, argv + argc});
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
