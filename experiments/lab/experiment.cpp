// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/experiment.hpp"

#include <algorithm>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fstream>

#include "base/failure.hpp"
#include "base/file.hpp"
#include "experiments/lab/initramfs.hpp"
#include "experiments/lab/kvm_probe.hpp"
#include "experiments/lab/machine.hpp"
#include "experiments/lab/plan.hpp"
#include "experiments/lab/qemu_command.hpp"
#include "experiments/lab/session.hpp"
#include "host/segment/open.hpp"

namespace ipidefer::lab {
namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using nlohmann::json;

/// A QEMU that had to be killed leaves its segment behind. Made before the
/// Machine, so that it has ended.
class SegmentCleanup {
  public:
    explicit SegmentCleanup(const Options& options) : options_{options} {}
    ~SegmentCleanup()
    {
        // Mostly there is none.
        segment::remove_stale_ones(options_.shm_folder, options_.name);
    }
    SegmentCleanup(const SegmentCleanup&) = delete;
    SegmentCleanup& operator=(const SegmentCleanup&) = delete;

  private:
    const Options& options_;
};

/// What a boot's files are called; more than one attempt have a number.
std::string attempt_name(const Options& options, const Boot& boot,
                         unsigned attempt)
{
    std::string text;
    if (options.repeat > 1)
        text = "repetition-" + std::to_string(boot.turn.repetition) + '-';
    if (options.point) text += "point-" + std::to_string(*options.point) + '-';
    return text + file_name(boot.arm()) +
           (attempt == 0 ? "" : '-' + std::to_string(attempt + 1));
}

fs::path make_logs(const Options& options, const fs::path& scratch,
                   const std::string& attempt)
{
    fs::path logs = options.keep_logs.value_or(scratch) / attempt;
    std::error_code error;
    fs::create_directories(logs, error);
    if (error)
        throw Failure{Exit::kCannotRun,
                      "cannot make " + logs.string() + ": " + error.message()};
    return logs;
}

void explain_fallback(const Guest& guest, const Run& run, Progress& progress)
{
    if (run.guest_mode == run.mode) return;
    std::string why = std::string{"mode "} + std::string{name(run.mode)} + ": ";
    why += run.guest_mode ? "the guest runs as ipi_defer=" +
                                std::string{name(*run.guest_mode)}
                          : "this kernel has no ipi_defer, it runs as ever";
    for (const auto& message : guest.messages) why += "\n  " + message;
    progress.note(why);
}

asio::awaitable<void> run_boot(const Options& options, const Boot& boot,
                               IpiDefer ipi_defer, const fs::path& initramfs,
                               const fs::path& scratch,
                               const std::string& attempt, Progress& progress,
                               Report& report)
{
    MachineSpec spec;
    spec.qemu = options.qemu;
    spec.sockets = scratch / (attempt + ".sockets");
    fs::create_directory(spec.sockets);
    spec.logs = make_logs(options, scratch, attempt);
    spec.patience = std::chrono::seconds{options.timeout};
    spec.emulated_host = in_box(options.accel);
    spec.arguments =
        qemu_arguments(options, boot.mode, ipi_defer, initramfs, spec.sockets);

    Guest& guest = report.guests.emplace_back();
    guest.mode = boot.mode;
    guest.turn = boot.turn;
    guest.qemu_command_line = spec.arguments;
    guest.qemu_command_line.insert(guest.qemu_command_line.begin(),
                                   options.qemu.string());
    std::ofstream{spec.logs / "command"}
        << shell_quoted(guest.qemu_command_line) << '\n';

    const SegmentCleanup cleanup{options};
    Machine machine{co_await asio::this_coro::executor, spec};
    Session session{machine, options, boot, ipi_defer, progress};
    co_await session.boot(guest);
    for (const auto& workload : options.workloads) {
        report.runs.push_back(co_await session.run(workload));
        // Once is enough: it does so each time.
        if (&workload == &options.workloads.front() &&
            boot.turn.repetition == 1 && boot.turn.letter != 'B')
            explain_fallback(guest, report.runs.back(), progress);
    }
    co_await machine.power_off();
}

/// Until the host lets the guest run, or no retry is left. A repetition that is
/// lost that way does not take the others with it.
asio::awaitable<void> run_boot_with_retries(const Options& options,
                                            const Boot& boot,
                                            IpiDefer ipi_defer,
                                            const fs::path& initramfs,
                                            const fs::path& scratch,
                                            Progress& progress, Report& report)
{
    const auto runs = report.runs.size();
    const auto guests = report.guests.size();
    for (unsigned attempt = 0;; ++attempt) {
        try {
            co_await run_boot(options, boot, ipi_defer, initramfs, scratch,
                              attempt_name(options, boot, attempt), progress,
                              report);
            co_return;
        } catch (const HostStarved& starved) {
            const bool again = attempt < options.retries;
            report.starved.push_back({boot.mode, starved.starvation().thread,
                                      starved.starvation().lost, starved.what(),
                                      again, boot.turn});
            const std::string what =
                title(options, boot) + ": " + starved.what();
            if (again) {
                progress.note(what + "; retry " + std::to_string(attempt + 1) +
                              " of " + std::to_string(options.retries));
            } else if (options.repeat > 1) {
                progress.note(what +
                              "; what it has not run is left out of medians "
                              "and pairs");
                co_return;
            } else {
                throw;
            }
        }
        // All workloads of a mode are run in one guest.
        report.runs.resize(runs);
        report.guests.resize(guests);
    }
}

/// The same, and what stops it is noted and has the boot's name.
asio::awaitable<void> run_or_give_up(const Options& options, const Boot& boot,
                                     IpiDefer ipi_defer,
                                     const fs::path& initramfs,
                                     const fs::path& scratch,
                                     Progress& progress, Report& report)
{
    try {
        co_await run_boot_with_retries(options, boot, ipi_defer, initramfs,
                                       scratch, progress, report);
    } catch (const Failure& failure) {
        if (failure.exit() == Exit::kDefect)
            report.given_up =
                GivenUp{boot.mode, failure.what(), failure.detail(), boot.turn};
        throw Failure{failure.exit(),
                      title(options, boot) + ": " + failure.what(),
                      failure.detail()};
    } catch (const json::exception& error) {
        throw Failure{Exit::kCannotRun,
                      title(options, boot) +
                          ": the guest's agent answers with something else "
                          "than it was asked for: " +
                          error.what()};
    }
}

}  // namespace

asio::awaitable<void> run_experiment(const std::vector<Options>& points,
                                     const fs::path& scratch,
                                     Progress& progress, Report& report)
{
    // What points differ in concerns single boots only.
    const Options& options = points.front();
    const IpiDefer ipi_defer = ipi_defer_of(options.qemu);
    if (ipi_defer == IpiDefer::kNone &&
        std::ranges::find(options.modes, Mode::kHv) != options.modes.end())
        progress.note(options.qemu.string() +
                      " has no ipi-defer object: in mode hv the guest finds "
                      "nobody who defers, and falls back to ipi_defer=off");

    const fs::path initramfs = scratch / "initramfs";
    RootContents contents;
    contents.guest_programs = options.guest_programs;
    contents.busybox = options.busybox;
    contents.modules = options.modules;
    contents.nested = options.nested;
    contents.initrd = options.initrd;
    contents.overlay = options.overlay;
    // Workloads call built-in ones: all are there.
    for (const auto& name : built_in_workloads(options.guest_programs))
        contents.workloads[name + ".sh"] =
            options.guest_programs / "workloads" / (name + ".sh");
    for (const auto& workload : options.workloads)
        contents.workloads[workload.name] = workload.script;
    write_initramfs(contents, initramfs);

    const auto order =
        plan(options.modes, options.repeat, options.seed, points.size());
    if (!options.factors.empty())
        for (const Options& point : points)
            report.sweep.push_back(point.factors);
    if (options.repeat > 1) {
        report.repetitions = {options.seed,
                              arms_of(options.modes, options.repeat), order};
        progress.note(std::to_string(options.repeat) +
                      " repetitions, with the seed " +
                      std::to_string(options.seed));
    }
    for (unsigned i = 0; i < order.size(); ++i)
        for (const auto& [point, arm] : order[i]) {
            // Not in the call: GCC 12 may destroy what is made there twice.
            const Boot boot{arm.mode,
                            {i + 1, arm.letter, points[point].factors}};
            co_await run_or_give_up(points[point], boot, ipi_defer, initramfs,
                                    scratch, progress, report);
        }
}

}  // namespace ipidefer::lab
