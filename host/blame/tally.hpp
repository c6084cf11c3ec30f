// SPDX-License-Identifier: GPL-2.0-or-later
// Tally: how often a cause took a vCPU out of its guest, and for how long.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "base/log_histogram.hpp"
#include "host/blame/cause.hpp"
#include "host/blame/event.hpp"

namespace ipidefer::blame {

struct Tally {
    LogHistogram away_ns;  // as the first cause
    std::uint64_t also = 0;
    /// Who sent it, of those times, first or also, of which that is known.
    std::map<Stack, std::uint64_t> stacks;

    Tally& operator+=(const Tally& other);
};

/// By vCPU and cause.
using Tallies = std::map<std::pair<unsigned, Cause>, Tally>;

/// Adds a later part to those before.
void add(Tallies& sum, const Tallies& part);

/// Of all vCPUs together, as one with the number 0.
[[nodiscard]] Tallies together(const Tallies& tallies);

/// A tally's stacks, the most frequent first; of equal ones in the order of
/// their names, so that a report does not change without a reason.
[[nodiscard]] std::vector<std::pair<const Stack*, std::uint64_t>> by_count(
    const std::map<Stack, std::uint64_t>& stacks);
/// What is returned points into them.
void by_count(std::map<Stack, std::uint64_t>&& stacks) = delete;

}  // namespace ipidefer::blame
