// SPDX-License-Identifier: GPL-2.0-or-later
// LogHistogram: many numbers in bounded memory, each known to 1.6 %.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace ipidefer {

/// A number that one thread or process writes, while others may look at it.
class WatchedNumber final {
  public:
    WatchedNumber() = default;
    explicit WatchedNumber(std::uint64_t number) noexcept : number_{number} {}
    WatchedNumber(const WatchedNumber&) = delete;
    WatchedNumber& operator=(const WatchedNumber&) = delete;
    WatchedNumber& operator=(std::uint64_t number) noexcept
    {
        // Ordering: RELAXED: a figure; nothing is published by it.
        number_.store(number, std::memory_order_relaxed);
        return *this;
    }
    [[nodiscard]] std::uint64_t get() const noexcept
    {
        // Ordering: RELAXED: as above.
        return number_.load(std::memory_order_relaxed);
    }

  private:
    std::atomic<std::uint64_t> number_{0};
};

[[nodiscard]] inline std::uint64_t value_of(std::uint64_t number) noexcept
{
    return number;
}
[[nodiscard]] inline std::uint64_t value_of(
    const WatchedNumber& number) noexcept
{
    return number.get();
}

/// Buckets are as wide as one 64th of the power of two that they lie in, as in
/// an HDR histogram; numbers below 128 have one each. Count, sum, least and
/// most are exact.
/// @param Cell std::uint64_t, or WatchedNumber where others look on; these see
/// each figure as it once was, but not all at one moment
template <class Cell>
class BasicLogHistogram final {
  public:
    BasicLogHistogram() = default;
    template <class Other>
    explicit BasicLogHistogram(const BasicLogHistogram<Other>& other)
    {
        *this += other;
    }

    void add(std::uint64_t number) noexcept
    {
        Cell& bucket = buckets_[bucket_of(number)];
        bucket = value_of(bucket) + 1;
        count_ = count() + 1;
        sum_ = sum() + number;
        if (number < value_of(least_)) least_ = number;
        if (number > most()) most_ = number;
    }
    template <class Other>
    BasicLogHistogram& operator+=(const BasicLogHistogram<Other>& other)
    {
        for (std::size_t i = 0; i < buckets_.size(); ++i)
            buckets_[i] = value_of(buckets_[i]) + value_of(other.buckets_[i]);
        count_ = count() + other.count();
        sum_ = sum() + other.sum();
        least_ = std::min(value_of(least_), value_of(other.least_));
        most_ = std::max(most(), other.most());
        return *this;
    }
    void clear() noexcept
    {
        for (Cell& bucket : buckets_) bucket = 0;
        count_ = 0;
        sum_ = 0;
        least_ = UINT64_MAX;
        most_ = 0;
    }

    [[nodiscard]] std::uint64_t count() const { return value_of(count_); }
    [[nodiscard]] std::uint64_t sum() const { return value_of(sum_); }
    /// 0 when there is none.
    [[nodiscard]] std::uint64_t least() const
    {
        return count() == 0 ? 0 : value_of(least_);
    }
    [[nodiscard]] std::uint64_t most() const { return value_of(most_); }

    /// The least number that `share` of all do not exceed, to the end of its
    /// bucket, but no more than the most; 0 when there is none.
    /// @param share 0 to 1
    [[nodiscard]] std::uint64_t quantile(double share) const;

    /// Calls visit(last, count) for each bucket that is not empty, in order;
    /// `last` is the greatest number that belongs there.
    template <class Visit>
    void each(Visit visit) const
    {
        for (std::size_t i = 0; i < buckets_.size(); ++i)
            if (const auto count = value_of(buckets_[i]); count != 0)
                visit(last_of(i), count);
    }

  private:
    template <class Other>
    friend class BasicLogHistogram;

    static constexpr unsigned kSubBits = 6;
    static constexpr std::size_t kSub = std::size_t{1} << kSubBits;
    static std::size_t bucket_of(std::uint64_t number) noexcept;
    static std::uint64_t last_of(std::size_t bucket) noexcept;

    std::array<Cell, (64 - kSubBits + 1) * kSub> buckets_{};
    Cell count_{0};
    Cell sum_{0};
    Cell least_{UINT64_MAX};
    Cell most_{0};
};

extern template class BasicLogHistogram<std::uint64_t>;
extern template class BasicLogHistogram<WatchedNumber>;

using LogHistogram = BasicLogHistogram<std::uint64_t>;

}  // namespace ipidefer
