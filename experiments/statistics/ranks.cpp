// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/statistics/ranks.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <numeric>

namespace ipidefer::statistics {

Ranks ranks_of(const Sample& sample)
{
    std::vector<std::size_t> order(sample.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::sort(order, {}, [&](std::size_t i) { return sample[i]; });
    Ranks ranks;
    ranks.doubled.resize(sample.size());
    for (std::size_t begin = 0; begin < order.size();) {
        std::size_t end = begin + 1;
        while (end < order.size() && sample[order[end]] == sample[order[begin]])
            ++end;
        // Twice the mean of the ranks begin + 1 to end.
        for (std::size_t i = begin; i < end; ++i)
            ranks.doubled[order[i]] = begin + 1 + end;
        const auto same = static_cast<double>(end - begin);
        ranks.ties += same * same * same - same;
        begin = end;
    }
    return ranks;
}

double two_sided_normal(double distance, double deviation, double step)
{
    const double beyond = std::max(0.0, std::abs(distance) - step / 2);
    // Nothing can be elsewhere than in the middle.
    if (deviation <= 0) return 1;
    // The two tails of the normal distribution are the complementary error
    // function: no library is needed for them.
    return std::erfc(beyond / deviation / std::numbers::sqrt2);
}

}  // namespace ipidefer::statistics
