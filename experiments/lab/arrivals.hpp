// SPDX-License-Identifier: GPL-2.0-or-later
// What has come to the isolated vCPUs, and what was sent to them.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "experiments/lab/snapshot.hpp"

namespace ipidefer::lab {

/// Two that are equal, some time apart, say that the vCPUs were at rest between
/// them: nothing came, and nothing is on its way that was sent meanwhile.
struct Arrivals {
    std::uint64_t interrupts = 0;
    /// Aimed at them by the guest's trace events: function calls, reschedule
    /// IPIs and typed requests.
    std::map<std::string, std::uint64_t> events;

    bool operator==(const Arrivals&) const = default;
};

/// @return since the guest booted
[[nodiscard]] Arrivals arrivals(const Snapshot& snapshot,
                                const CpuSet& isolated);

}  // namespace ipidefer::lab
