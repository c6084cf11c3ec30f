// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/events.hpp"

#include <optional>
#include <string_view>

#include "base/text.hpp"

namespace ipidefer::lab {
namespace {

constexpr char kCsd[] = "csd";
constexpr char kIpi[] = "ipi";
constexpr char kIpiMask[] = "ipi-mask";
constexpr char kRequest[] = "request";
constexpr char kFlush[] = "flush";

/// The IPI that makes its target look for queued function calls.
constexpr std::string_view kCsdCarrier =
    "generic_smp_call_function_single_interrupt";
/// Of the IPI that makes its target reschedule, which has none.
constexpr std::string_view kNoCallback = "0x0";
constexpr char kReschedule[] = "reschedule";
/// Handlers of typed vectors have names that begin so.
constexpr std::string_view kTypedCarrier = "sysvec_ipi_defer_";

bool is_carrier(std::string_view callback)
{
    return callback == kCsdCarrier ||
           callback.find(kTypedCarrier) != std::string_view::npos;
}

std::string key_of(const Histogram::Entry& entry, const std::string& key)
{
    const auto found = entry.keys.find(key);
    return found == entry.keys.end() ? std::string{} : found->second;
}

using Keys = std::map<std::string, std::string>;

/// What one counter gained: entries with their hits between the snapshots.
std::vector<Histogram::Entry> gained(const std::string& counter,
                                     const Snapshot& from, const Snapshot& to)
{
    const auto after = to.hists.find(counter);
    if (after == to.hists.end()) return {};
    std::map<Keys, std::uint64_t> before;
    if (const auto found = from.hists.find(counter); found != from.hists.end())
        for (const auto& entry : found->second.entries)
            before[entry.keys] = entry.hits;
    std::vector<Histogram::Entry> entries;
    for (const auto& entry : after->second.entries) {
        const auto known = before.find(entry.keys);
        const std::uint64_t base = known == before.end() ? 0 : known->second;
        if (entry.hits > base)
            entries.push_back({entry.keys, entry.hits - base});
    }
    return entries;
}

std::optional<unsigned> cpu_in(const Histogram::Entry& entry,
                               const std::string& key)
{
    return number_of<unsigned>(key_of(entry, key));
}

bool counts(const char* counter, const Snapshot& snapshot)
{
    const auto found = snapshot.hists.find(counter);
    return found != snapshot.hists.end() && found->second.dropped == 0;
}

}  // namespace

std::vector<EventCounter> event_counters(const CpuSet& isolated)
{
    const std::string cpus = "CPUS{" + format_cpulist(isolated) + "}";
    return {
        {kCsd, "csd/csd_queue_cpu", "hist:keys=func.sym,cpu if cpu & " + cpus},
        {kIpi, "ipi/ipi_send_cpu",
         "hist:keys=callback.sym,cpu if cpu & " + cpus},
        {kIpiMask, "ipi/ipi_send_cpumask",
         "hist:keys=callback.sym if cpumask & " + cpus},
        {kRequest, "ipi_defer/ipi_defer_request",
         "hist:keys=target,work if target & " + cpus},
        {kFlush, "context_tracking/ct_work_flush",
         "hist:keys=common_cpu,work if CPU & " + cpus},
    };
}

std::map<std::string, std::uint64_t> events_between(const Snapshot& from,
                                                    const Snapshot& to)
{
    std::map<std::string, std::uint64_t> events;
    for (const auto& entry : gained(kCsd, from, to))
        events[key_of(entry, "func")] += entry.hits;
    for (const char* counter : {kIpi, kIpiMask})
        for (const auto& entry : gained(counter, from, to))
            if (const auto callback = key_of(entry, "callback");
                !is_carrier(callback))
                events[callback == kNoCallback ? kReschedule : callback] +=
                    entry.hits;
    for (const auto& [target, count] : traced_requests(from, to))
        events[kTypedPrefix + target.second] += count;
    return events;
}

PerCpuWork traced_requests(const Snapshot& from, const Snapshot& to)
{
    PerCpuWork requests;
    for (const auto& entry : gained(kRequest, from, to)) {
        const auto cpu = cpu_in(entry, "target");
        const auto number = number_of<std::size_t>(key_of(entry, "work"));
        if (!cpu || !number) continue;
        // The statistics list the works in the order of their numbers.
        const std::string work = to.stats && *number < to.stats->works.size()
                                     ? to.stats->works[*number]
                                     : std::to_string(*number);
        requests[{*cpu, work}] += entry.hits;
    }
    return requests;
}

std::map<unsigned, std::uint64_t> traced_flushes(const Snapshot& from,
                                                 const Snapshot& to)
{
    std::map<unsigned, std::uint64_t> flushes;
    for (const auto& entry : gained(kFlush, from, to))
        if (const auto cpu = cpu_in(entry, "common_cpu"))
            flushes[*cpu] += entry.hits;
    return flushes;
}

bool counts_requests(const Snapshot& snapshot)
{
    return counts(kRequest, snapshot);
}

bool counts_flushes(const Snapshot& snapshot)
{
    return counts(kFlush, snapshot);
}

}  // namespace ipidefer::lab
