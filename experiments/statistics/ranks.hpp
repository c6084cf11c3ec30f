// SPDX-License-Identifier: GPL-2.0-or-later
// Ranks of numbers, as the rank tests have them: those that are the same share
// the mean of their ranks. All ranks are doubled, so that halves are whole
// numbers, and sums of them exact.
#pragma once

#include <cstdint>
#include <vector>

#include "experiments/statistics/sample.hpp"

namespace ipidefer::statistics {

struct Ranks {
    /// In the order of the numbers, each twice the rank: 2 for the least.
    std::vector<std::uint64_t> doubled;
    /// The sum of t^3 - t over all groups of t that are the same.
    double ties = 0;
};

[[nodiscard]] Ranks ranks_of(const Sample& sample);

/// Of a statistic that is normally distributed but for being whole: how likely
/// one is that is as far from the mean, on either side, with a correction of
/// half a step for continuity.
/// @param distance of the statistic from its mean
/// @param step between two values that it can have, in the unit of `distance`
[[nodiscard]] double two_sided_normal(double distance, double deviation,
                                      double step);

}  // namespace ipidefer::statistics
