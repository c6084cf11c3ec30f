// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/experiment.hpp"

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fstream>

#include "base/failure.hpp"
#include "base/file.hpp"
#include "experiments/lab/agreement.hpp"
#include "experiments/lab/arrivals.hpp"
#include "experiments/lab/events.hpp"
#include "experiments/lab/gap_causes.hpp"
#include "experiments/lab/guest_snapshot.hpp"
#include "experiments/lab/initramfs.hpp"
#include "experiments/lab/kvm_probe.hpp"
#include "experiments/lab/machine.hpp"
#include "experiments/lab/pin.hpp"
#include "experiments/lab/plan.hpp"
#include "experiments/lab/protocol.hpp"
#include "experiments/lab/qemu_command.hpp"
#include "host/segment/open.hpp"

namespace ipidefer::lab {
namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using nlohmann::json;
using namespace std::chrono_literals;

/// Shorter gaps are what emulation does to any code.
constexpr std::uint64_t kThresholdNs = 10'000;
/// A snapshot during which something typed happened is taken again.
constexpr int kSnapshotTries = 10;
/// The isolated vCPUs are settled once none took an interrupt for so long.
constexpr auto kQuiet = 300ms;
constexpr int kQuietTries = 20;
/// How often snapshot A is taken until nothing comes meanwhile.
constexpr int kRestTries = 5;
/// Exit status by which a workload says that this kernel cannot run it.
constexpr int kWorkloadNotPossible = 77;

json command(const char* name) { return {{protocol::kCommand, name}}; }

/// Everything that typed IPIs change. The state word of a vCPU changes with
/// each kernel entry too, so it takes no part.
bool same_counts(const std::optional<GuestStats>& one,
                 const std::optional<GuestStats>& other)
{
    if (!one || !other) return one.has_value() == other.has_value();
    if (one->rows.size() != other->rows.size()) return false;
    for (const auto& [key, row] : one->rows) {
        const auto found = other->rows.find(key);
        if (found == other->rows.end()) return false;
        WorkStats same_state = found->second;
        same_state.state = row.state;
        if (row != same_state) return false;
    }
    return true;
}

/// What is booted.
struct Boot {
    Mode mode;
    Turn turn;

    [[nodiscard]] Arm arm() const { return {mode, turn.letter}; }
};

/// "mode hv", "repetition 3 of 10, mode off/A".
std::string title(const Options& options, const Boot& boot)
{
    std::string text;
    if (options.repeat > 1)
        text = "repetition " + std::to_string(boot.turn.repetition) + " of " +
               std::to_string(options.repeat) + ", ";
    return text + "mode " + name(boot.arm());
}

/// One guest, from boot to power-off.
class Session {
  public:
    Session(Machine& machine, const Options& options, const Boot& boot,
            IpiDefer ipi_defer, Progress& progress)
        : machine_{machine},
          options_{options},
          boot_{boot},
          ipi_defer_{ipi_defer},
          progress_{progress}
    {
    }

    asio::awaitable<void> boot(Guest& guest)
    {
        show("booting VM " + options_.name);
        guest.qemu_version = co_await machine_.connect();
        vcpus_ = (co_await machine_.ask_vmm("query-cpus-fast")).value();
        if (!options_.pin.empty())
            pin(machine_.pid(), vcpus_, options_.isolated, options_.pin);
        if (ipi_defer_ >= IpiDefer::kSegment)
            vm_.emplace(options_.shm_folder, options_.name);
        const json hello = co_await machine_.boot();
        guest.release = hello.at(protocol::kRelease);
        guest.version = hello.at(protocol::kVersion);
        guest.kernel_command_line = hello.at(protocol::kCommandLine);
        // Nothing else works in such a guest, not even to prepare it.
        if (auto why =
                missing_cpus(options_.isolated, hello.at(protocol::kOnline),
                             options_.append);
            !why.empty())
            throw Failure{Exit::kCannotRun, why};

        json request = command(protocol::kPrepare);
        request[protocol::kIsolated] = options_.isolated;
        request[protocol::kHousekeeping] = options_.housekeeping;
        request[protocol::kEvents] = json::array();
        for (const auto& counter : event_counters(options_.isolated))
            request[protocol::kEvents].push_back(
                {{protocol::kName, counter.name},
                 {protocol::kEvent, counter.event},
                 {protocol::kTrigger, counter.trigger}});
        request[protocol::kRecorded] = recorded_events();
        const json answer =
            co_await machine_.ask_guest(request, "preparing the guest");
        answer.at(protocol::kMissing).get_to(guest.missing);
        answer.at(protocol::kMessages).get_to(guest.messages);
    }

    asio::awaitable<Run> run(const Workload& workload)
    {
        show(workload.name + ": starting the loops");
        json request = command(protocol::kStartLoops);
        request[protocol::kThresholdNs] = kThresholdNs;
        request[protocol::kNested] = options_.nested;
        co_await machine_.ask_guest(request, "starting the isolated loops");

        Snapshots at;
        at.a = co_await snapshot_at_rest();
        show(workload.name);
        const auto start = std::chrono::steady_clock::now();
        co_await work(workload);
        const auto took = std::chrono::steady_clock::now() - start;
        at.b = co_await snapshot();
        if (const auto why = loops_left(at); !why.empty())
            throw Failure{
                Exit::kCannotRun,
                "workload " + workload.name +
                    " kept the loops from spinning "
                    "on the isolated vCPUs, so nothing can be said of these: " +
                    why};
        const json gaps = co_await machine_.ask_guest(
            command(protocol::kHistograms), "reading the loops' gaps");
        add_gaps(at.b, gaps);
        add_listed_gaps(at.b, gaps);
        co_await machine_.ask_guest(command(protocol::kStopLoops),
                                    "stopping the isolated loops");
        at.c = co_await snapshot();

        Run run = evaluate(boot_.mode, workload.name, options_.isolated, at);
        run.turn = boot_.turn;
        run.accelerator = accelerator(options_.accel);
        run.took = std::chrono::duration_cast<std::chrono::milliseconds>(took);
        co_return run;
    }

  private:
    void show(const std::string& what)
    {
        progress_.show(title(options_, boot_) + ": " + what);
    }

    asio::awaitable<void> work(const Workload& workload)
    {
        json request = command(protocol::kRun);
        request[protocol::kWorkload] = workload.name;
        const json answer = co_await machine_.ask_guest(
            request, "running workload " + workload.name);
        const int status = answer.at(protocol::kStatus);
        const std::string output = answer.at(protocol::kOutput);
        if (status == kWorkloadNotPossible)
            throw Failure{
                Exit::kNotPossible,
                "workload " + workload.name + " cannot run on this kernel",
                output};
        if (status != 0)
            throw Failure{Exit::kCannotRun,
                          "workload " + workload.name + " ended with status " +
                              std::to_string(status),
                          output};
    }

    asio::awaitable<Snapshot> ask_guest_counters(const std::string& what)
    {
        co_return guest_snapshot(
            co_await machine_.ask_guest(command(protocol::kSnapshot), what));
    }

    /// @return what had come to the isolated vCPUs when they were at rest;
    /// nothing for those that never are. They are measured all the same: that
    /// is what the report then shows.
    asio::awaitable<std::optional<Arrivals>> settle()
    {
        std::optional<Arrivals> before;
        for (int i = 0; i < kQuietTries; ++i) {
            const Arrivals now = arrivals(
                co_await ask_guest_counters("waiting for the loops to settle"),
                options_.isolated);
            if (before == now) co_return now;
            before = now;
            co_await sleep_for(kQuiet);
        }
        co_return std::nullopt;
    }

    /// Snapshot A. An interrupt that was sent before it and comes behind it
    /// would be one that nobody sent, so it is one during which nothing comes
    /// or is sent.
    asio::awaitable<Snapshot> snapshot_at_rest()
    {
        for (int i = 1;; ++i) {
            const auto before = co_await settle();
            co_await machine_.ask_guest(command(protocol::kMarkLoops),
                                        "marking the isolated loops");
            Snapshot taken = co_await snapshot();
            const Snapshot after =
                co_await ask_guest_counters("reading the guest's counters");
            if (i == kRestTries || !before ||
                (before == arrivals(taken, options_.isolated) &&
                 before == arrivals(after, options_.isolated)))
                co_return taken;
        }
    }

    asio::awaitable<KvmStats> kvm_stats()
    {
        if (options_.accel != Accel::kKvm) co_return KvmStats{};
        json of_kvm{{"target", "vcpu"}};
        of_kvm["providers"] = json::array({{{"provider", "kvm"}}});
        const auto stats = co_await machine_.ask_vmm("query-stats", of_kvm);
        // A kernel before 5.14 has none.
        if (!stats) co_return KvmStats{};
        co_return parse_kvm_stats(vcpus_, *stats);
    }

    HostInterrupts host_interrupts_now() const
    {
        if (options_.accel != Accel::kKvm || options_.pin.empty()) return {};
        return host_interrupts(parse_interrupts(read_whole("/proc/interrupts")),
                               options_.isolated, options_.pin);
    }

    /// Guest and VMM cannot be asked at one moment; but if the guest counts the
    /// same before and after the VMM is asked, it might as well have been.
    asio::awaitable<Snapshot> snapshot()
    {
        Snapshot taken;
        for (int i = 0; i < kSnapshotTries; ++i) {
            const json before = co_await machine_.ask_guest(
                command(protocol::kStats), "reading the guest's statistics");
            const auto vmm = co_await machine_.ask_vmm("query-ipi-defer");
            const KvmStats kvm = co_await kvm_stats();
            const HostInterrupts interrupts = host_interrupts_now();
            std::optional<SegmentReport> segment;
            if (vm_) segment = read_segment(*vm_);
            const json after = co_await machine_.ask_guest(
                command(protocol::kSnapshot), "reading the guest's counters");

            taken = guest_snapshot(after);
            if (vmm) {
                taken.vmm = parse_ipi_defer(*vmm);
                taken.sees_icr = sees_icr(*vmm);
            }
            taken.segment = std::move(segment);
            taken.kvm = kvm;
            taken.host_interrupts = interrupts;
            taken.consistent = same_counts(guest_stats(before), taken.stats);
            // What is only on its way to a vCPU must not look lost.
            if (taken.consistent && !under_way(taken, options_.isolated)) break;
        }
        co_return taken;
    }

    Machine& machine_;
    const Options& options_;
    Boot boot_;
    IpiDefer ipi_defer_;
    std::optional<segment::OpenVm> vm_;
    json vcpus_;  // what query-cpus-fast says of them, from the start on
    Progress& progress_;
};

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

asio::awaitable<void> run_experiment(const Options& options,
                                     const fs::path& scratch,
                                     Progress& progress, Report& report)
{
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

    const auto order = plan(options.modes, options.repeat, options.seed);
    if (options.repeat > 1) {
        report.repetitions = {options.seed,
                              arms_of(options.modes, options.repeat), order};
        progress.note(std::to_string(options.repeat) +
                      " repetitions, with the seed " +
                      std::to_string(options.seed));
    }
    for (unsigned i = 0; i < order.size(); ++i)
        for (const Arm& arm : order[i])
            co_await run_or_give_up(
                options, Boot{arm.mode, {i + 1, arm.letter}}, ipi_defer,
                initramfs, scratch, progress, report);
}

}  // namespace ipidefer::lab
