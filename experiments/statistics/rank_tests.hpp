// SPDX-License-Identifier: GPL-2.0-or-later
// Rank tests: how likely numbers are that differ so much if nothing but chance
// makes them differ, whatever they are distributed like. All are two-sided.
//
// Written here, since what Debian has of them in C++ is in no library:
// Boost.Math has distributions, and tests of means only, which suppose a normal
// distribution; counts of interrupts have none.
#pragma once

#include <cstddef>

#include "experiments/statistics/sample.hpp"

namespace ipidefer::statistics {

struct TestResult {
    /// 0 to 1.
    double p = 1;
    /// Numbers that took part.
    std::size_t used = 0;
    /// Whether p is that of all possible outcomes, and not of the normal
    /// distribution that they come near.
    bool exact = true;

    bool operator==(const TestResult&) const = default;
};

/// The most pairs, and the most numbers of each of two samples, of which all
/// outcomes are counted.
inline constexpr std::size_t kMostExact = 25;

/// Wilcoxon's signed-rank test, of paired differences (Individual Comparisons
/// by Ranking Methods, Biometrics Bulletin 1, 1945). Differences of 0 take no
/// part, as with Wilcoxon; those of the same size share their ranks, and are
/// counted exactly all the same. Of more than kMostExact the normal
/// distribution is taken, corrected for ties and continuity.
[[nodiscard]] TestResult signed_rank_test(const Sample& differences);

/// The exact sign test: only the signs of the differences count, those of 0
/// take no part.
[[nodiscard]] TestResult sign_test(const Sample& differences);

/// The rank-sum test of Wilcoxon, and of Mann and Whitney, for two samples that
/// have nothing to do with each other: not in pairs. Exact with ties too where
/// neither has more than kMostExact.
[[nodiscard]] TestResult rank_sum_test(const Sample& base, const Sample& other);

/// The least p that so many pairs can have: all differ to one side.
[[nodiscard]] double least_signed_rank_p(std::size_t pairs);
/// The least p that two samples of these sizes can have.
[[nodiscard]] double least_rank_sum_p(std::size_t base, std::size_t other);

}  // namespace ipidefer::statistics
