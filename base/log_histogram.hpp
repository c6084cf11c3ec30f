// SPDX-License-Identifier: GPL-2.0-or-later
// LogHistogram: many numbers in bounded memory, each known to 1.6 %.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace ipidefer {

/// Buckets are as wide as one 64th of the power of two that they lie in, as in
/// an HDR histogram; numbers below 128 have one each. Count, sum, least and
/// most are exact.
class LogHistogram final {
  public:
    void add(std::uint64_t number);
    LogHistogram& operator+=(const LogHistogram& other);

    [[nodiscard]] std::uint64_t count() const { return count_; }
    [[nodiscard]] std::uint64_t sum() const { return sum_; }
    /// 0 when there is none.
    [[nodiscard]] std::uint64_t least() const { return count_ ? least_ : 0; }
    [[nodiscard]] std::uint64_t most() const { return most_; }

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
            if (buckets_[i] != 0) visit(last_of(i), buckets_[i]);
    }

  private:
    static constexpr unsigned kSubBits = 6;
    static constexpr std::size_t kSub = std::size_t{1} << kSubBits;
    static std::size_t bucket_of(std::uint64_t number);
    static std::uint64_t last_of(std::size_t bucket);

    std::array<std::uint64_t, (64 - kSubBits + 1) * kSub> buckets_{};
    std::uint64_t count_ = 0;
    std::uint64_t sum_ = 0;
    std::uint64_t least_ = UINT64_MAX;
    std::uint64_t most_ = 0;
};

}  // namespace ipidefer
