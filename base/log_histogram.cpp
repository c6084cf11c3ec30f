// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/log_histogram.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace ipidefer {

std::size_t LogHistogram::bucket_of(std::uint64_t number)
{
    if (number < 2 * kSub) return static_cast<std::size_t>(number);
    // Its highest bit, and the kSubBits below that.
    const auto shift =
        static_cast<unsigned>(std::bit_width(number)) - kSubBits - 1;
    return shift * kSub + static_cast<std::size_t>(number >> shift);
}

std::uint64_t LogHistogram::last_of(std::size_t bucket)
{
    if (bucket < 2 * kSub) return bucket;
    const std::size_t shift = bucket / kSub - 1;
    const std::uint64_t first = std::uint64_t{bucket - shift * kSub} << shift;
    return first + ((std::uint64_t{1} << shift) - 1);
}

void LogHistogram::add(std::uint64_t number)
{
    ++buckets_.at(bucket_of(number));
    ++count_;
    sum_ += number;
    least_ = std::min(least_, number);
    most_ = std::max(most_, number);
}

LogHistogram& LogHistogram::operator+=(const LogHistogram& other)
{
    for (std::size_t i = 0; i < buckets_.size(); ++i)
        buckets_.at(i) += other.buckets_.at(i);
    count_ += other.count_;
    sum_ += other.sum_;
    least_ = std::min(least_, other.least_);
    most_ = std::max(most_, other.most_);
    return *this;
}

std::uint64_t LogHistogram::quantile(double share) const
{
    const double wanted = std::ceil(share * static_cast<double>(count_));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
        seen += buckets_.at(i);
        if (seen != 0 && static_cast<double>(seen) >= wanted)
            return std::min(last_of(i), most_);
    }
    return most_;
}

}  // namespace ipidefer
