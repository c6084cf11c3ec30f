// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/session.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/failure.hpp"
#include "base/file.hpp"
#include "experiments/lab/agreement.hpp"
#include "experiments/lab/events.hpp"
#include "experiments/lab/gap_causes.hpp"
#include "experiments/lab/guest_snapshot.hpp"
#include "experiments/lab/kvm_probe.hpp"
#include "experiments/lab/pin.hpp"
#include "experiments/lab/protocol.hpp"

namespace ipidefer::lab {
namespace {

namespace asio = boost::asio;
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

}  // namespace

std::string title(const Options& options, const Boot& boot)
{
    std::string text;
    if (options.repeat > 1)
        text = "repetition " + std::to_string(boot.turn.repetition) + " of " +
               std::to_string(options.repeat) + ", ";
    return text +
           report::with_factors("mode " + name(boot.arm()), boot.turn.factors);
}

Session::Session(Machine& machine, const Options& options, const Boot& boot,
                 IpiDefer ipi_defer, Progress& progress)
    : machine_{machine},
      options_{options},
      boot_{boot},
      ipi_defer_{ipi_defer},
      progress_{progress}
{
}

asio::awaitable<void> Session::boot(Guest& guest)
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
    if (auto why = missing_cpus(options_.isolated, hello.at(protocol::kOnline),
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

asio::awaitable<Run> Session::run(const Workload& workload)
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

void Session::show(const std::string& what)
{
    progress_.show(title(options_, boot_) + ": " + what);
}

asio::awaitable<void> Session::work(const Workload& workload)
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
            "workload " + workload.name + " cannot run on this kernel", output};
    if (status != 0)
        throw Failure{Exit::kCannotRun,
                      "workload " + workload.name + " ended with status " +
                          std::to_string(status),
                      output};
}

asio::awaitable<Snapshot> Session::ask_guest_counters(const std::string& what)
{
    co_return guest_snapshot(
        co_await machine_.ask_guest(command(protocol::kSnapshot), what));
}

asio::awaitable<std::optional<Arrivals>> Session::settle()
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

asio::awaitable<Snapshot> Session::snapshot_at_rest()
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

asio::awaitable<KvmStats> Session::kvm_stats()
{
    if (options_.accel != Accel::kKvm) co_return KvmStats{};
    json of_kvm{{"target", "vcpu"}};
    of_kvm["providers"] = json::array({{{"provider", "kvm"}}});
    const auto stats = co_await machine_.ask_vmm("query-stats", of_kvm);
    // A kernel before 5.14 has none.
    if (!stats) co_return KvmStats{};
    co_return parse_kvm_stats(vcpus_, *stats);
}

HostInterrupts Session::host_interrupts_now() const
{
    if (options_.accel != Accel::kKvm || options_.pin.empty()) return {};
    return host_interrupts(parse_interrupts(read_whole("/proc/interrupts")),
                           options_.isolated, options_.pin);
}

asio::awaitable<Snapshot> Session::snapshot()
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

}  // namespace ipidefer::lab
