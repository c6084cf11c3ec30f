// SPDX-License-Identifier: GPL-2.0-or-later
// Bootstrap: how far a median may be off, by drawing from the sample itself
// (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13).
// The interval is that of percentiles. With few numbers it is too narrow rather
// than too wide, which is why a verdict asks a test as well (comparison.hpp).
#pragma once

#include <cstdint>

#include "experiments/statistics/sample.hpp"

namespace ipidefer::statistics {

struct Interval {
    double low = 0;
    double high = 0;

    [[nodiscard]] bool contains(double number) const noexcept
    {
        return low <= number && number <= high;
    }
    bool operator==(const Interval&) const = default;
};

struct Bootstrap {
    std::uint64_t seed = 1;
    unsigned resamples = 10'000;
    /// Share of the medians that the interval has.
    double confidence = 0.95;
};

/// Of the median of one sample: of paired differences.
/// @param sample not empty
[[nodiscard]] Interval median_interval(const Sample& sample,
                                       const Bootstrap& how);

/// Of the difference between the medians of two samples that have nothing to do
/// with each other: median(other) - median(base).
/// @param base, other not empty
[[nodiscard]] Interval difference_interval(const Sample& base,
                                           const Sample& other,
                                           const Bootstrap& how);

}  // namespace ipidefer::statistics
