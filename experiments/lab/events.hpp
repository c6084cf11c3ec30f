// SPDX-License-Identifier: GPL-2.0-or-later
// The trace events by which the guest counts what is aimed at isolated CPUs.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/cpulist.hpp"
#include "experiments/lab/snapshot.hpp"

namespace ipidefer::lab {

/// A histogram to ask the guest for.
struct EventCounter {
    std::string name;
    std::string event;    // folder/event
    std::string trigger;  // what counts, and which CPUs matter
};

[[nodiscard]] std::vector<EventCounter> event_counters(const CpuSet& isolated);

/// How typed work is named among events: "typed:sync_core".
inline constexpr char kTypedPrefix[] = "typed:";

/// From one snapshot to another: callback, or typed work, to events aimed at
/// isolated CPUs. The IPIs that only carry what is counted by itself, function
/// calls and typed work, are left out. An event for several CPUs at once counts
/// once for each function call and typed work, and else once.
[[nodiscard]] std::map<std::string, std::uint64_t> events_between(
    const Snapshot& from, const Snapshot& to);

/// By CPU and work; only what is not zero.
using PerCpuWork = std::map<std::pair<unsigned, std::string>, std::uint64_t>;

/// Requests of typed work by the trace events.
[[nodiscard]] PerCpuWork traced_requests(const Snapshot& from,
                                         const Snapshot& to);

/// Kernel entries that did deferred work, by the trace events.
[[nodiscard]] std::map<unsigned, std::uint64_t> traced_flushes(
    const Snapshot& from, const Snapshot& to);

/// Whether that counter is there, and lost nothing.
[[nodiscard]] bool counts_requests(const Snapshot& snapshot);
[[nodiscard]] bool counts_flushes(const Snapshot& snapshot);

}  // namespace ipidefer::lab
