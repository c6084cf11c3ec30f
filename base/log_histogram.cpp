// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/log_histogram.hpp"

#include <bit>
#include <cmath>

namespace ipidefer {

template <class Cell>
std::size_t BasicLogHistogram<Cell>::bucket_of(std::uint64_t number) noexcept
{
    if (number < 2 * kSub) return static_cast<std::size_t>(number);
    // Its highest bit, and the kSubBits below that.
    const auto shift =
        static_cast<unsigned>(std::bit_width(number)) - kSubBits - 1;
    return shift * kSub + static_cast<std::size_t>(number >> shift);
}

template <class Cell>
std::uint64_t BasicLogHistogram<Cell>::last_of(std::size_t bucket) noexcept
{
    if (bucket < 2 * kSub) return bucket;
    const std::size_t shift = bucket / kSub - 1;
    const std::uint64_t first = std::uint64_t{bucket - shift * kSub} << shift;
    return first + ((std::uint64_t{1} << shift) - 1);
}

template <class Cell>
std::uint64_t BasicLogHistogram<Cell>::quantile(double share) const
{
    const double wanted = std::ceil(share * static_cast<double>(count()));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
        seen += value_of(buckets_[i]);
        if (seen != 0 && static_cast<double>(seen) >= wanted)
            return std::min(last_of(i), most());
    }
    return most();
}

template class BasicLogHistogram<std::uint64_t>;
template class BasicLogHistogram<WatchedNumber>;

}  // namespace ipidefer
