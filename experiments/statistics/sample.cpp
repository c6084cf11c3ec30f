// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/statistics/sample.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <stdexcept>

namespace ipidefer::statistics {
namespace {

double quantile_of_sorted(const Sample& sorted, double share)
{
    if (sorted.empty())
        throw std::logic_error{"a sample of none has no quantiles"};
    const double place = static_cast<double>(sorted.size() - 1) * share;
    const auto below = static_cast<std::size_t>(place);
    // Also for a place that is a whole number, and for the last one: what is
    // not there must not be looked at.
    if (below + 1 >= sorted.size()) return sorted.back();
    return std::lerp(sorted[below], sorted[below + 1],
                     place - static_cast<double>(below));
}

}  // namespace

double quantile(Sample sample, double share)
{
    std::ranges::sort(sample);
    return quantile_of_sorted(sample, share);
}

double median(Sample sample) { return quantile(std::move(sample), 0.5); }

Quartiles quartiles(Sample sample)
{
    std::ranges::sort(sample);
    return {quantile_of_sorted(sample, 0.25), quantile_of_sorted(sample, 0.5),
            quantile_of_sorted(sample, 0.75)};
}

Sample paired_differences(const Sample& base, const Sample& other)
{
    if (base.size() != other.size())
        throw std::logic_error{"pairs of which one half is missing"};
    Sample differences;
    for (std::size_t i = 0; i < base.size(); ++i)
        differences.push_back(other[i] - base[i]);
    return differences;
}

}  // namespace ipidefer::statistics
