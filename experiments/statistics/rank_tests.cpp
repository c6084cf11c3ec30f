// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/statistics/rank_tests.hpp"

#include <algorithm>
#include <boost/math/distributions/binomial.hpp>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

#include "experiments/statistics/ranks.hpp"

namespace ipidefer::statistics {
namespace {

/// By a sum of doubled ranks: in how many of all outcomes it comes out. Of 25
/// differences there are 2^25 outcomes, of 25 numbers out of 50 1.3 * 10^14:
/// doubles hold these exactly.
using Outcomes = std::vector<double>;

/// How likely a sum is that is as far out, in the tail where it lies, twice.
double both_tails(const Outcomes& outcomes, std::uint64_t sum)
{
    const auto here = outcomes.begin() + static_cast<std::ptrdiff_t>(sum);
    const double all = std::accumulate(outcomes.begin(), outcomes.end(), 0.0);
    const double low = std::accumulate(outcomes.begin(), here + 1, 0.0);
    const double high = std::accumulate(here, outcomes.end(), 0.0);
    return std::min(1.0, 2 * std::min(low, high) / all);
}

/// Each rank is in the sum or not: 2^n outcomes.
Outcomes of_all_signs(const std::vector<std::uint64_t>& ranks)
{
    Outcomes outcomes{1};
    for (const std::uint64_t rank : ranks) {
        const std::size_t before = outcomes.size();
        outcomes.resize(before + rank);
        for (std::size_t sum = before; sum-- > 0;)
            outcomes[sum + rank] += outcomes[sum];
    }
    return outcomes;
}

/// Exactly `chosen` of the ranks are in the sum.
Outcomes of_all_choices(const std::vector<std::uint64_t>& ranks,
                        std::size_t chosen)
{
    const std::uint64_t most =
        std::accumulate(ranks.begin(), ranks.end(), std::uint64_t{0});
    std::vector<Outcomes> by_count(chosen + 1, Outcomes(most + 1));
    by_count[0][0] = 1;
    for (const std::uint64_t rank : ranks)
        // Downwards, so that no rank is in a sum twice.
        for (std::size_t count = chosen; count > 0; --count)
            for (std::size_t sum = rank; sum <= most; ++sum)
                by_count[count][sum] += by_count[count - 1][sum - rank];
    return by_count[chosen];
}

std::uint64_t sum_where(const std::vector<std::uint64_t>& ranks,
                        const Sample& sample, bool (*chosen)(double))
{
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < sample.size(); ++i)
        if (chosen(sample[i])) sum += ranks[i];
    return sum;
}

Sample without_zeros(const Sample& differences)
{
    Sample left;
    std::ranges::copy_if(differences, std::back_inserter(left),
                         [](double difference) { return difference != 0; });
    return left;
}

bool is_positive(double number) { return number > 0; }

}  // namespace

TestResult signed_rank_test(const Sample& differences)
{
    const Sample used = without_zeros(differences);
    if (used.empty()) return {};
    Sample sizes;
    for (const double difference : used) sizes.push_back(std::abs(difference));
    const Ranks ranks = ranks_of(sizes);
    const std::uint64_t sum = sum_where(ranks.doubled, used, is_positive);
    if (used.size() <= kMostExact)
        return {both_tails(of_all_signs(ranks.doubled), sum), used.size(),
                true};
    const auto n = static_cast<double>(used.size());
    const double mean = n * (n + 1) / 4;
    const double variance = n * (n + 1) * (2 * n + 1) / 24 - ranks.ties / 48;
    return {two_sided_normal(static_cast<double>(sum) / 2 - mean,
                             std::sqrt(variance), 1),
            used.size(), false};
}

TestResult sign_test(const Sample& differences)
{
    const Sample used = without_zeros(differences);
    if (used.empty()) return {};
    const auto positive =
        static_cast<std::size_t>(std::ranges::count_if(used, is_positive));
    const std::size_t fewer = std::min(positive, used.size() - positive);
    const boost::math::binomial_distribution<double> fair{
        static_cast<double>(used.size()), 0.5};
    // Where both signs are as frequent, the two tails have the middle twice.
    return {
        std::min(1.0, 2 * boost::math::cdf(fair, static_cast<double>(fewer))),
        used.size(), true};
}

TestResult rank_sum_test(const Sample& base, const Sample& other)
{
    const std::size_t all = base.size() + other.size();
    if (base.empty() || other.empty()) return {};
    Sample pooled = base;
    pooled.insert(pooled.end(), other.begin(), other.end());
    const Ranks ranks = ranks_of(pooled);
    const std::uint64_t sum = std::accumulate(
        ranks.doubled.begin() + static_cast<std::ptrdiff_t>(base.size()),
        ranks.doubled.end(), std::uint64_t{0});
    if (base.size() <= kMostExact && other.size() <= kMostExact)
        return {both_tails(of_all_choices(ranks.doubled, other.size()), sum),
                all, true};
    const auto n = static_cast<double>(all);
    const auto m = static_cast<double>(other.size());
    const double mean = m * (n + 1) / 2;
    const double variance =
        m * (n - m) / 12 * (n + 1 - ranks.ties / (n * (n - 1)));
    return {two_sided_normal(static_cast<double>(sum) / 2 - mean,
                             std::sqrt(std::max(0.0, variance)), 1),
            all, false};
}

double least_signed_rank_p(std::size_t pairs)
{
    return std::min(1.0, 2 * std::exp2(-static_cast<double>(pairs)));
}

double least_rank_sum_p(std::size_t base, std::size_t other)
{
    // 2 over the number of choices, factor by factor, as that grows fast.
    double least = 2;
    for (std::size_t i = 1; i <= other; ++i)
        least *= static_cast<double>(i) / static_cast<double>(base + i);
    return std::min(1.0, least);
}

}  // namespace ipidefer::statistics
