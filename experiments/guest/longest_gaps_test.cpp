// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/guest/longest_gaps.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace ipidefer::lab::agent {
namespace {

template <std::size_t Most>
std::vector<std::uint64_t> lengths_of(const LongestGaps<Most>& gaps)
{
    std::vector<std::uint64_t> lengths;
    for (const Gap& gap : gaps.kept()) lengths.push_back(gap.length);
    return lengths;
}

TEST(LongestGaps, AllAreKeptWhileThereIsRoom)
{
    LongestGaps<4> gaps;
    for (const std::uint64_t length : {7, 3, 9, 3}) gaps.add({length, length});
    EXPECT_EQ(lengths_of(gaps), (std::vector<std::uint64_t>{7, 3, 9, 3}));
    EXPECT_EQ(gaps.left_out(), 0u);
    gaps.clear();
    EXPECT_TRUE(gaps.kept().empty());
}

TEST(LongestGaps, TheShortestGoAndAreCounted)
{
    LongestGaps<4> gaps;
    for (const std::uint64_t length : {7, 3, 9, 4}) gaps.add({length, length});
    gaps.add({10, 8});
    EXPECT_EQ(lengths_of(gaps), (std::vector<std::uint64_t>{7, 9, 8}));
    EXPECT_EQ(gaps.left_out(), 2u);
    // One that is no longer than what went is not kept in its place.
    gaps.add({11, 5});
    EXPECT_EQ(lengths_of(gaps), (std::vector<std::uint64_t>{7, 9, 8}));
    EXPECT_EQ(gaps.left_out(), 3u);
    gaps.clear();
    gaps.add({12, 1});
    EXPECT_EQ(lengths_of(gaps), (std::vector<std::uint64_t>{1}));
    EXPECT_EQ(gaps.left_out(), 0u);
}

TEST(LongestGaps, SomeOfThoseThatAreAsLongAreKept)
{
    LongestGaps<4> gaps;
    for (std::uint64_t start = 0; start < 9; ++start) gaps.add({start, 5});
    const auto kept = gaps.kept();
    ASSERT_EQ(kept.size(), 2u);
    EXPECT_EQ(kept[0], (Gap{0, 5}));
    EXPECT_EQ(kept[1], (Gap{1, 5}));
    EXPECT_EQ(gaps.left_out(), 7u);
}

/// Whatever comes: none is lost uncounted, all are in their order, and none
/// that is left out is longer than one that is kept.
TEST(LongestGaps, NothingLongerIsLeftOut)
{
    constexpr std::size_t kMost = 16;
    std::mt19937_64 random{42};
    for (int round = 0; round < 200; ++round) {
        LongestGaps<kMost> gaps;
        std::vector<std::uint64_t> all;
        const auto count = random() % 200;
        const auto range = 1 + random() % 50;
        for (std::uint64_t i = 0; i < count; ++i) {
            all.push_back(random() % range);
            gaps.add({i, all.back()});
        }
        const auto kept = gaps.kept();
        ASSERT_EQ(kept.size() + gaps.left_out(), all.size());
        if (all.size() > kMost) {
            ASSERT_GE(kept.size(), kMost / 2);
        }

        std::vector<bool> is_kept(all.size());
        std::uint64_t shortest = UINT64_MAX;
        std::uint64_t next = 0;
        for (const Gap& gap : kept) {
            ASSERT_GE(gap.start, next);
            next = gap.start + 1;
            ASSERT_EQ(gap.length, all[gap.start]);
            is_kept[gap.start] = true;
            shortest = std::min(shortest, gap.length);
        }
        for (std::size_t i = 0; i < all.size(); ++i)
            if (!is_kept[i]) {
                ASSERT_LE(all[i], shortest);
            }
    }
}

}  // namespace
}  // namespace ipidefer::lab::agent
