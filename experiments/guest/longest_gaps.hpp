// SPDX-License-Identifier: GPL-2.0-or-later
// Longest gaps: as many as there is room for, in the order in which they came.
// What is left out is counted, and is no longer than anything that is kept.
// Nothing is allocated: it is filled by a loop that must not enter the kernel.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace ipidefer::lab::agent {

/// Cycles of the TSC.
struct Gap {
    std::uint64_t start = 0;
    std::uint64_t length = 0;

    bool operator==(const Gap&) const = default;
};

/// @param Most even, at least 2
template <std::size_t Most>
class LongestGaps final {
  public:
    void add(const Gap& gap) noexcept
    {
        if (size_ == Most && !is_short(gap)) halve();
        if (is_short(gap))
            ++left_out_;
        else
            gaps_[size_++] = gap;
    }
    void clear() noexcept
    {
        size_ = 0;
        left_out_ = 0;
        floor_ = 0;
    }
    [[nodiscard]] std::span<const Gap> kept() const noexcept
    {
        return {gaps_.data(), size_};
    }
    [[nodiscard]] std::uint64_t left_out() const noexcept { return left_out_; }

  private:
    /// No longer than something that is left out.
    [[nodiscard]] bool is_short(const Gap& gap) const noexcept
    {
        return left_out_ != 0 && gap.length <= floor_;
    }

    /// Leaves the longer half; of those that are as long as the shortest of it,
    /// the first that came.
    void halve() noexcept
    {
        constexpr std::size_t kHalf = Most / 2;
        for (std::size_t i = 0; i < Most; ++i) lengths_[i] = gaps_[i].length;
        const auto middle = lengths_.begin() + kHalf;
        std::nth_element(lengths_.begin(), middle, lengths_.end());
        floor_ = *middle;
        auto equal =
            kHalf -
            static_cast<std::size_t>(std::ranges::count_if(
                gaps_, [this](const Gap& gap) { return gap.length > floor_; }));
        std::size_t next = 0;
        for (const Gap& gap : gaps_)
            if (gap.length > floor_ || (gap.length == floor_ && equal != 0)) {
                if (gap.length == floor_) --equal;
                gaps_[next++] = gap;
            }
        size_ = next;
        left_out_ += Most - kHalf;
    }

    std::array<Gap, Most> gaps_{};
    std::array<std::uint64_t, Most> lengths_{};
    std::size_t size_ = 0;
    std::uint64_t left_out_ = 0;
    /// Nothing that is left out is longer.
    std::uint64_t floor_ = 0;
};

}  // namespace ipidefer::lab::agent
