// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/lab_run.hpp"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/use_future.hpp>
#include <iostream>

#include "base/failure.hpp"
#include "base/file.hpp"
#include "base/json_writer.hpp"
#include "base/option_value.hpp"
#include "base/scratch.hpp"
#include "experiments/lab/box.hpp"
#include "experiments/lab/experiment.hpp"
#include "experiments/lab/kvm_probe.hpp"
#include "experiments/lab/pin.hpp"
#include "experiments/lab/progress.hpp"
#include "experiments/lab/provenance.hpp"
#include "experiments/lab/repetition_table.hpp"
#include "experiments/lab/report_json.hpp"
#include "experiments/lab/signals.hpp"
#include "experiments/lab/sweep.hpp"
#include "experiments/lab/table.hpp"
#include "experiments/report/outputs.hpp"
#include "experiments/report/plots.hpp"

namespace ipidefer::lab {
namespace {

using Json = nlohmann::ordered_json;
namespace asio = boost::asio;
namespace fs = std::filesystem;
using namespace asio::experimental::awaitable_operators;

/// Ends with nothing, or with what stopped the experiment.
asio::awaitable<std::optional<Failure>> attempt(
    const std::vector<Options>& points, Progress& progress, Report& report)
{
    try {
        const Scratch scratch;
        co_await run_experiment(points, scratch.path(), progress, report);
    } catch (const Failure& failure) {
        co_return failure;
    }
    co_return std::nullopt;
}

void tell(const Failure& failure)
{
    std::cerr << "ipidefer: " << failure.what() << '\n';
    if (failure.detail().empty()) return;
    std::cerr << "---- the last lines:\n" << failure.detail();
    if (!failure.detail().ends_with('\n')) std::cerr << '\n';
}

/// Repetitions that the host starved are left out; where none is left, there is
/// no result.
bool says_something(const Report& report, const std::vector<Options>& points)
{
    std::vector<std::string> groups;
    for (const Options& point : points)
        for (const auto& workload : point.workloads)
            groups.push_back(
                report::with_factors(workload.name, point.factors));
    const auto missing = without_runs(report, groups);
    for (const auto& what : missing)
        std::cerr << "ipidefer: the host starved every repetition of mode "
                  << what << ", no verdict\n";
    return missing.empty();
}

/// The same command in the box, whose KVM boots Linux.
int lab_run_in_box(const std::vector<Options>& points,
                   const std::vector<std::string>& command)
{
    const Options& options = points.front();
    // The box isolates some of its CPUs for good.
    for (const Options& point : points)
        if (point.isolated != options.isolated)
            refuse_option("--sweep", "isolated cannot change in the box");
    BoxSpec box;
    box.qemu = fs::absolute(options.qemu);
    box.kernel = fs::absolute(options.kernel);
    for (const Options& point : points)
        box.cpus = std::max(box.cpus, point.cpus);
    check_pin(options.pin, complement({}, box.cpus));
    // As an operator would: the isolated vCPUs on isolated CPUs of their own.
    box.isolated = options.isolated;
    if (!options.pin.empty())
        box.isolated = {options.pin.begin(), options.pin.end()};
    box.command = our_command_in_box(command);
    if (options.pin.empty())
        box.command.insert(box.command.end(),
                           {"--pin", format_cpulist(box.isolated)});
    for (const auto& file : {options.json, options.html})
        if (!file.empty() && file != "-")
            box.shares.push_back(
                fs::canonical(fs::absolute(file).parent_path()));
    // Two outputs in one folder.
    box.shares.erase(std::unique(box.shares.begin(), box.shares.end()),
                     box.shares.end());
    if (options.keep_logs) {
        fs::create_directories(*options.keep_logs);
        box.shares.push_back(fs::canonical(*options.keep_logs));
    }
    return run_in_box(box);
}

/// What is made from the report as others read it: a table for each factor of a
/// sweep, and the page of `ipidefer lab show`.
void show_more(const Options& options, const std::string& json)
{
    const report::LabReport read = report::read_report("this report", json);
    const std::string by_factor = render(report::factor_tables_of(read));
    if (!by_factor.empty())
        (options.json == "-" || options.html == "-" ? std::cerr : std::cout)
            << '\n'
            << by_factor << std::flush;
    if (options.html.empty()) return;
    const std::string page = report::to_html(read);
    if (options.html == "-")
        std::cout << page << std::flush;
    else
        named_option("--html", [&] { write_whole(options.html, page); });
}

}  // namespace

int lab_run(const RawOptions& raw, const fs::path& guest_programs,
            const std::vector<std::string>& command)
{
    const std::vector<Options> points = check_sweep(raw, guest_programs);
    // All points have the same of what is asked here, but for a box's CPUs.
    const Options& options = points.front();
    if (options.accel == Accel::kKvm) {
        const auto why = without_whole_kvm(options.qemu, options.kernel);
        if (!why.empty()) {
            std::cerr << "ipidefer: " << why
                      << "; the lab runs in the box, a KVM host under TCG\n";
            return lab_run_in_box(points, command);
        }
    }
    check_pin_here(options.pin);
    if (!options.html.empty()) report::check_gnuplot();

    Report report;
    std::optional<Failure> failure;
    int signal = 0;
    {
        Progress progress;
        progress.show("hashing kernel and QEMU");
        report.provenance = provenance(options, command);
        EndingSignals signals;
        auto done = asio::co_spawn(
            signals.io(), attempt(points, progress, report) || signals.any(),
            asio::use_future);
        signals.io().run();
        auto result = done.get();
        if (result.index() == 0)
            failure = std::get<0>(std::move(result));
        else
            signal = std::get<1>(result);
    }
    // Repetitions and sweeps may have run for hours: what there is of them is
    // not lost.
    if (signal != 0 && !report.repetitions && report.sweep.empty())
        return ended_by_signal(signal);

    const std::vector<Repeated> repeated = repeated_of(report);
    // With --json - standard output is for a program.
    (options.json == "-" || options.html == "-" ? std::cerr : std::cout)
        << (report.repetitions ? render_repetitions(report, repeated)
                               : render_tables(report.runs))
        << std::flush;
    // Ahead of all that may fail, as it is what cannot be had again.
    const Json json = to_json(report, repeated);
    if (!options.json.empty()) write_report(options.json, json);
    if (!options.html.empty() || !report.sweep.empty())
        show_more(options, json_text(json, -1));
    if (signal != 0) return ended_by_signal(signal);
    if (failure) {
        tell(*failure);
        return static_cast<int>(failure->exit());
    }
    const bool agree = std::ranges::all_of(
        report.runs, [](const Run& run) { return run.disagreements.empty(); });
    if (!agree) return static_cast<int>(Exit::kDefect);
    if (report.repetitions && !says_something(report, points))
        return static_cast<int>(Exit::kCannotRun);
    return static_cast<int>(Exit::kDone);
}

}  // namespace ipidefer::lab
