// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/lab_testing.hpp"

namespace ipidefer::lab::test {
namespace {

constexpr std::uint64_t kRequests = 10;

/// Counters that went on from boot, so that no test relies on zeroes.
constexpr std::uint64_t kBase = 7;

Snapshot moment(Mode mode, std::uint64_t requests, std::uint64_t flushes,
                std::uint32_t state, std::uint64_t calls)
{
    Snapshot at;
    at.stats.emplace();
    at.stats->mode = name(mode);
    at.stats->works = {"sync_core"};
    if (in_the_guest(mode) == Mode::kHv) at.vmm.emplace();
    for (const unsigned cpu : kIsolated) {
        WorkStats row;
        row.requested = kBase + requests;
        row.suppressed = static_cast<std::int64_t>(requests);
        row.delivered = kBase;
        row.flushed = kBase + flushes;
        row.seq = kBase + requests;
        row.done = flushes != 0 ? row.seq : kBase;
        row.state = state;
        at.stats->rows[{cpu, "sync_core"}] = row;
        at.interrupts.rows["DSC"].taken[cpu] = kBase;
        at.interrupts.rows["CAL"].taken[cpu] = calls;
        at.loops[cpu] = {5, 2600, 1000, 'R', cpu, 3, {{90, 70'000}, {1000, 1}}};
        const std::string number = std::to_string(cpu);
        at.hists["request"].entries.push_back(
            entry({{"target", number}, {"work", "0"}}, requests + 1));
        at.hists["flush"].entries.push_back(
            entry({{"common_cpu", number}, {"work", "1"}}, flushes + 1));
        if (in_the_guest(mode) != Mode::kHv) continue;
        auto& vmm = (*at.vmm)[cpu];
        vmm.isolated = true;
        vmm.bindings = {{kVector, 0x42, 0x02, 0x04}};
        auto& count = vmm.by_vector[kVector];
        count[IPIDEFER_DELIVERED_IN_KERNEL] = kBase;
        count[IPIDEFER_DEFERRED] = requests != 0 ? 1 : 0;
        count[IPIDEFER_COALESCED] = requests != 0 ? requests - 1 : 0;
    }
    at.interrupts.rows["DSC"].description = "Deferrable sync-core interrupts";
    at.interrupts.rows["CAL"].description = "Function call interrupts";
    return at;
}

}  // namespace

Snapshots good_run(Mode mode)
{
    const bool used = mode != Mode::kOff;
    const std::uint64_t requests = used ? kRequests : 0;
    Snapshots at;
    at.a = moment(mode, 0, 0, kUser, 0);
    at.b = moment(mode, requests, 0, used ? kUserPending : kUser,
                  used ? 0 : kRequests);
    at.c =
        moment(mode, requests, used ? 1 : 0, kInKernel, used ? 0 : kRequests);
    if (!used)
        for (const unsigned cpu : kIsolated)
            for (Snapshot* snapshot : {&at.b, &at.c})
                snapshot->hists["csd"].entries.push_back(entry(
                    {{"func", "do_sync_core"}, {"cpu", std::to_string(cpu)}},
                    kRequests));
    return at;
}

Run good_result(Mode mode)
{
    Run run = evaluate(mode, "mixed", kIsolated, good_run(mode));
    run.accelerator = "kvm in tcg";
    run.took = std::chrono::milliseconds{1234};
    return run;
}

}  // namespace ipidefer::lab::test
