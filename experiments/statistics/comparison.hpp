// SPDX-License-Identifier: GPL-2.0-or-later
// Comparison: what two samples say of each other, with a verdict that may be
// that nothing was seen.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "experiments/statistics/bootstrap.hpp"
#include "experiments/statistics/sample.hpp"

namespace ipidefer::statistics {

/// A p of this or more is no difference.
inline constexpr double kSignificant = 0.05;

enum class Verdict {
    kLess,  // than the base
    kMore,
    /// The interval contains 0, or p is not below kSignificant. Not the same as
    /// "there is none".
    kNoDifferenceSeen,
    /// Whatever the numbers, so few of them could not have shown one.
    kTooFew,
};

struct Comparison {
    Verdict verdict = Verdict::kTooFew;
    /// Pairs, or the numbers of the smaller of two samples.
    std::size_t count = 0;
    /// Of the paired differences the median; of two samples the difference
    /// between their medians.
    double difference = 0;
    /// Its bootstrap interval of 95 %.
    Interval interval;
    /// Of the signed-rank test; of two samples, of the rank-sum test.
    double p = 1;
    /// Of the sign test; of two samples there is none: 1.
    double p_sign = 1;
};

/// Pair by pair: repetitions of one experiment.
/// @param other as many as there are in base; not empty
[[nodiscard]] Comparison compare_pairs(const Sample& base, const Sample& other,
                                       const Bootstrap& how);

/// Two samples that have nothing to do with each other: two experiments.
/// @param base, other not empty
[[nodiscard]] Comparison compare_samples(const Sample& base,
                                         const Sample& other,
                                         const Bootstrap& how);

/// The fewest pairs that can show a difference.
[[nodiscard]] std::size_t fewest_pairs();

/// "less", "more", "no difference seen", "too few".
[[nodiscard]] const char* words_of(Verdict verdict) noexcept;

/// "no difference can be seen with 2 pairs: it takes 6 or more".
[[nodiscard]] std::string too_few_pairs(std::size_t pairs);

}  // namespace ipidefer::statistics
