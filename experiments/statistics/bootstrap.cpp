// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/statistics/bootstrap.hpp"

#include <algorithm>
#include <cstddef>
#include <stdexcept>
#include <utility>

#include "experiments/statistics/random.hpp"

namespace ipidefer::statistics {
namespace {

bool all_same(const Sample& sample)
{
    return std::ranges::adjacent_find(sample, std::ranges::not_equal_to{}) ==
           sample.end();
}

/// The median, in any order, which takes less than to sort all of it.
double median_in_place(Sample& sample)
{
    const auto half = static_cast<std::ptrdiff_t>(sample.size() / 2);
    const auto middle = sample.begin() + half;
    std::ranges::nth_element(sample, middle);
    if (sample.size() % 2 != 0) return *middle;
    return (*std::max_element(sample.begin(), middle) + *middle) / 2;
}

/// Draws as many as there are, each of them as often as it comes.
double median_of_a_draw(const Sample& sample, Sample& drawn, Random& random)
{
    drawn.resize(sample.size());
    for (double& number : drawn) number = sample[random.below(sample.size())];
    return median_in_place(drawn);
}

Interval percentiles(Sample statistics, double confidence)
{
    const double outside = (1 - confidence) / 2;
    std::ranges::sort(statistics);
    return {quantile(statistics, outside), quantile(statistics, 1 - outside)};
}

void check(const Sample& sample, const Bootstrap& how)
{
    if (sample.empty()) throw std::logic_error{"nothing to draw from"};
    if (how.resamples == 0) throw std::logic_error{"a bootstrap without draws"};
}

}  // namespace

Interval median_interval(const Sample& sample, const Bootstrap& how)
{
    check(sample, how);
    // Counts often are; no draw of them has another median.
    if (all_same(sample)) return {sample.front(), sample.front()};
    Random random{how.seed};
    Sample drawn;
    Sample medians(how.resamples);
    for (double& number : medians)
        number = median_of_a_draw(sample, drawn, random);
    return percentiles(std::move(medians), how.confidence);
}

Interval difference_interval(const Sample& base, const Sample& other,
                             const Bootstrap& how)
{
    check(base, how);
    check(other, how);
    if (all_same(base) && all_same(other)) {
        const double difference = other.front() - base.front();
        return {difference, difference};
    }
    Random random{how.seed};
    Sample drawn;
    Sample differences(how.resamples);
    for (double& number : differences) {
        // In this order, so that a seed means the same everywhere.
        const double of_base = median_of_a_draw(base, drawn, random);
        number = median_of_a_draw(other, drawn, random) - of_base;
    }
    return percentiles(std::move(differences), how.confidence);
}

}  // namespace ipidefer::statistics
