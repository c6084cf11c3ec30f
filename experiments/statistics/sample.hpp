// SPDX-License-Identifier: GPL-2.0-or-later
// Sample: what describes some numbers without a word on how they are
// distributed.
#pragma once

#include <vector>

namespace ipidefer::statistics {

/// One number for each repetition, in the order of the repetitions.
using Sample = std::vector<double>;

/// The quantile of definition 7 of Hyndman and Fan (Sample Quantiles in
/// Statistical Packages, The American Statistician 50, 1996): between the two
/// ordered numbers around the place (n - 1) * share, linearly. It is what R and
/// NumPy mean by default, so that others get the same numbers from a report.
/// @param sample not empty, in any order
/// @param share 0 to 1
[[nodiscard]] double quantile(Sample sample, double share);

/// The middle number, or the mean of the two in the middle.
[[nodiscard]] double median(Sample sample);

/// Quantiles of 1/4, 1/2 and 3/4.
struct Quartiles {
    double lower = 0;
    double median = 0;
    double upper = 0;

    bool operator==(const Quartiles&) const = default;
};

/// @param sample not empty
[[nodiscard]] Quartiles quartiles(Sample sample);

/// other - base, pair by pair.
/// @param other as many as there are in base
[[nodiscard]] Sample paired_differences(const Sample& base,
                                        const Sample& other);

}  // namespace ipidefer::statistics
