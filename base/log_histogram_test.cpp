// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/log_histogram.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace ipidefer {
namespace {

TEST(LogHistogram, OfNothing)
{
    const LogHistogram none;
    EXPECT_EQ(none.count(), 0U);
    EXPECT_EQ(none.least(), 0U);
    EXPECT_EQ(none.most(), 0U);
    EXPECT_EQ(none.quantile(0.5), 0U);
}

TEST(LogHistogram, SmallNumbersAreExact)
{
    LogHistogram all;
    for (std::uint64_t n = 1; n <= 100; ++n) all.add(n);
    EXPECT_EQ(all.count(), 100U);
    EXPECT_EQ(all.sum(), 5050U);
    EXPECT_EQ(all.least(), 1U);
    EXPECT_EQ(all.quantile(0), 1U);
    EXPECT_EQ(all.quantile(0.5), 50U);
    EXPECT_EQ(all.quantile(0.99), 99U);
    EXPECT_EQ(all.quantile(1), 100U);
}

// Each power of two and its neighbours: buckets neither overlap nor leave out.
TEST(LogHistogram, EachNumberIsInTheBucketThatEndsNextToIt)
{
    for (unsigned bit = 0; bit < 64; ++bit)
        for (const std::uint64_t number :
             {(std::uint64_t{1} << bit) - 1, std::uint64_t{1} << bit,
              (std::uint64_t{1} << bit) + 1, UINT64_MAX - bit}) {
            LogHistogram one;
            one.add(number);
            unsigned buckets = 0;
            one.each([&](std::uint64_t last, std::uint64_t count) {
                ++buckets;
                EXPECT_EQ(count, 1U);
                EXPECT_GE(last, number);
                EXPECT_LE(last - number, number / 64) << number;
            });
            EXPECT_EQ(buckets, 1U);
            EXPECT_EQ(one.quantile(1), number);
        }
}

TEST(LogHistogram, QuantilesAreThoseOfTheNumbersTo1Point6Percent)
{
    std::mt19937_64 random{1};
    std::vector<std::uint64_t> numbers;
    LogHistogram left;
    LogHistogram right;
    for (int i = 0; i < 10'000; ++i) {
        const std::uint64_t number = random() >> random() % 60;
        numbers.push_back(number);
        (i % 2 == 0 ? left : right).add(number);
    }
    left += right;
    std::ranges::sort(numbers);
    EXPECT_EQ(left.count(), numbers.size());
    EXPECT_EQ(left.least(), numbers.front());
    EXPECT_EQ(left.most(), numbers.back());
    for (const double share : {0.01, 0.5, 0.9, 0.99, 0.999}) {
        const auto at = static_cast<std::size_t>(
            std::ceil(share * static_cast<double>(numbers.size())));
        const std::uint64_t right_one = numbers.at(at - 1);
        EXPECT_GE(left.quantile(share), right_one) << share;
        EXPECT_LE(left.quantile(share) - right_one, right_one / 64) << share;
    }
}

TEST(LogHistogram, ThatOthersLookAtIsTheSame)
{
    BasicLogHistogram<WatchedNumber> watched;
    LogHistogram all;
    for (const std::uint64_t number : {7U, 5'000U, 90'000'000U, 7U}) {
        watched.add(number);
        all.add(number);
    }
    const LogHistogram seen{watched};
    EXPECT_EQ(seen.count(), 4U);
    EXPECT_EQ(seen.sum(), all.sum());
    EXPECT_EQ(seen.least(), 7U);
    EXPECT_EQ(seen.most(), 90'000'000U);
    EXPECT_EQ(seen.quantile(0.75), all.quantile(0.75));

    watched.clear();
    EXPECT_EQ(watched.count(), 0U);
    EXPECT_EQ(watched.least(), 0U);
    watched.each([](std::uint64_t, std::uint64_t) { FAIL(); });
    watched.add(3);
    EXPECT_EQ(watched.least(), 3U);
}

}  // namespace
}  // namespace ipidefer
