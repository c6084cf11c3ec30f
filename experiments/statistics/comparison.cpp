// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/statistics/comparison.hpp"

#include <algorithm>

#include "experiments/statistics/rank_tests.hpp"

namespace ipidefer::statistics {
namespace {

/// Interval and test are both asked: the interval is too narrow where numbers
/// are few, and the test knows no sizes, so it may find a shift of the whole
/// that leaves the median where it is.
Verdict verdict_of(const Comparison& seen, double least_p)
{
    if (least_p >= kSignificant) return Verdict::kTooFew;
    if (seen.interval.contains(0) || seen.p >= kSignificant)
        return Verdict::kNoDifferenceSeen;
    return seen.difference < 0 ? Verdict::kLess : Verdict::kMore;
}

}  // namespace

Comparison compare_pairs(const Sample& base, const Sample& other,
                         const Bootstrap& how)
{
    const Sample differences = paired_differences(base, other);
    Comparison seen;
    seen.count = differences.size();
    seen.difference = median(differences);
    seen.interval = median_interval(differences, how);
    seen.p = signed_rank_test(differences).p;
    seen.p_sign = sign_test(differences).p;
    seen.verdict = verdict_of(seen, least_signed_rank_p(differences.size()));
    return seen;
}

Comparison compare_samples(const Sample& base, const Sample& other,
                           const Bootstrap& how)
{
    Comparison seen;
    seen.count = std::min(base.size(), other.size());
    seen.difference = median(other) - median(base);
    seen.interval = difference_interval(base, other, how);
    seen.p = rank_sum_test(base, other).p;
    seen.verdict =
        verdict_of(seen, least_rank_sum_p(base.size(), other.size()));
    return seen;
}

std::size_t fewest_pairs()
{
    std::size_t pairs = 1;
    while (least_signed_rank_p(pairs) >= kSignificant) ++pairs;
    return pairs;
}

const char* words_of(Verdict verdict) noexcept
{
    switch (verdict) {
        case Verdict::kLess:
            return "less";
        case Verdict::kMore:
            return "more";
        case Verdict::kNoDifferenceSeen:
            return "no difference seen";
        case Verdict::kTooFew:
            return "too few";
    }
    return "?";
}

std::string too_few_pairs(std::size_t pairs)
{
    return "no difference can be seen with " + std::to_string(pairs) +
           (pairs == 1 ? " pair" : " pairs") + ": it takes " +
           std::to_string(fewest_pairs()) + " or more";
}

}  // namespace ipidefer::statistics
