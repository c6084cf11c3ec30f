// SPDX-License-Identifier: GPL-2.0-or-later
// Gap causes: what the guest's kernel did on an isolated vCPU while its loop
// did not run. Loop and kernel have the same clock, the guest's TSC.
//
// What the guest has not seen is the host's doing: an exit, or a vCPU thread
// that did not run. In an emulated guest most gaps are of that kind.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "experiments/lab/snapshot.hpp"

namespace ipidefer::lab {

/// The cause of a gap during which the kernel recorded nothing.
inline constexpr char kNothingInGuest[] = "nothing in the guest";
/// Of one that came when nothing was recorded any more, or what was is lost.
inline constexpr char kUnknownCause[] = "unknown";

/// What the kernel is to record on isolated vCPUs: folder/event, * is any text.
[[nodiscard]] std::vector<std::string> recorded_events();

/// What it recorded of one vCPU, by time.
struct GuestRecord {
    struct Event {
        std::uint64_t tsc = 0;
        /// "local_timer", "sched_switch", ...
        std::string what;
    };

    std::vector<Event> events;
    /// Outside of these there may have been others.
    std::uint64_t whole_from = 0;
    std::uint64_t whole_until = UINT64_MAX;
};

/// Nothing of what cannot be read is taken for whole.
/// @param trace per_cpu/cpuN/trace; its end may be cut off
/// @param stats per_cpu/cpuN/stats
[[nodiscard]] GuestRecord parse_guest_record(const std::string& trace,
                                             const std::string& stats);

/// All that happened during a gap, sorted, each once: "call_function +
/// local_timer"; or one of the two above.
[[nodiscard]] std::string cause_of(const GuestRecord& record,
                                   std::uint64_t start, std::uint64_t length);

/// The agent's lists of gaps, with their causes. Throws a Failure for lists
/// that do not go together.
/// @param taken has the loops
void add_listed_gaps(Snapshot& taken, const nlohmann::json& answer);

}  // namespace ipidefer::lab
