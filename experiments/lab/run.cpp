// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/run.hpp"

#include "experiments/lab/agreement.hpp"
#include "experiments/lab/events.hpp"

namespace ipidefer::lab {
namespace {

std::uint64_t taken_on(const Interrupts& interrupts, const std::string& row,
                       const CpuSet& cpus)
{
    const auto found = interrupts.rows.find(row);
    if (found == interrupts.rows.end()) return 0;
    std::uint64_t sum = 0;
    for (const auto& [cpu, taken] : found->second.taken)
        if (cpus.contains(cpu)) sum += taken;
    return sum;
}

std::map<unsigned, terms::VerdictCounts> verdicts_on(const VmmReport& report,
                                                     const CpuSet& cpus)
{
    std::map<unsigned, terms::VerdictCounts> sums;
    for (const auto& [cpu, seen] : report)
        if (cpus.contains(cpu))
            for (const auto& [vector, verdicts] : seen.by_vector)
                sums[vector] += verdicts;
    return sums;
}

std::map<unsigned, std::uint64_t> merged_on(const VmmReport& report,
                                            const CpuSet& cpus)
{
    std::map<unsigned, std::uint64_t> sums;
    for (const auto& [cpu, seen] : report)
        if (cpus.contains(cpu))
            for (const auto& [vector, count] : seen.merged)
                sums[vector] += count;
    return sums;
}

/// State field of Linux's context_tracking.state, as the statistics show it.
std::string context_of(const Snapshot& snapshot, unsigned cpu)
{
    constexpr const char* kContexts[] = {"kernel", "idle", "user", "guest"};
    if (!snapshot.stats) return "?";
    const auto found = snapshot.stats->rows.find({cpu, "sync_core"});
    if (found == snapshot.stats->rows.end()) return "?";
    return kContexts[found->second.state & 3];
}

}  // namespace

Run evaluate(Mode mode, const std::string& workload, const CpuSet& isolated,
             const Snapshots& at)
{
    Run run;
    run.mode = mode;
    run.workload = workload;
    run.isolated = isolated;
    if (at.c.stats) run.guest_mode = mode_of(at.c.stats->mode);
    // The guest cannot tell who decides: that it asks is all that it says.
    if (run.guest_mode == in_the_guest(mode)) run.guest_mode = mode;
    run.events = events_between(at.a, at.b);
    for (const auto& [row, seen] : at.b.interrupts.rows) {
        run.interrupts[row] = taken_on(at.b.interrupts, row, isolated) -
                              taken_on(at.a.interrupts, row, isolated);
        run.descriptions[row] = seen.description;
    }
    run.resent = at.b.resent - at.a.resent;
    run.loops = at.b.loops;
    run.kvm = since(at.a.kvm, at.b.kvm);
    for (const auto& [cpu, count] : at.b.host_interrupts)
        if (const auto before = at.a.host_interrupts.find(cpu);
            before != at.a.host_interrupts.end())
            run.host_interrupts[cpu] = count - before->second;
    for (const auto& [cpu, after] : at.b.nested) {
        const auto found = at.a.nested.find(cpu);
        if (found == at.a.nested.end()) continue;
        run.nested[cpu] = {
            after.exits - found->second.exits,
            after.interrupt_exits - found->second.interrupt_exits,
            context_of(at.a, cpu), context_of(at.b, cpu)};
    }
    if (at.a.vmm && at.b.vmm) {
        const auto before = verdicts_on(*at.a.vmm, isolated);
        run.verdicts.emplace();
        for (const auto& [vector, after] : verdicts_on(*at.b.vmm, isolated)) {
            const auto base = before.find(vector);
            run.verdicts->emplace(
                vector, after - (base == before.end() ? terms::VerdictCounts{}
                                                      : base->second));
        }
        run.sees_icr = at.b.sees_icr;
        run.merged = merged_on(*at.b.vmm, isolated);
        for (const auto& [vector, count] : merged_on(*at.a.vmm, isolated))
            run.merged[vector] -= count;
    }
    run.disagreements =
        disagreements(run.guest_mode.value_or(Mode::kOff), at, isolated);
    return run;
}

std::string group_of(const Run& run)
{
    return report::with_factors(run.workload, run.turn.factors);
}

}  // namespace ipidefer::lab
