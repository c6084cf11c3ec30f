// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/statistics/bootstrap.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

namespace ipidefer::statistics {
namespace {

const Sample kThirteen{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13};

/// Efron, Bootstrap Methods: Another Look at the Jackknife (The Annals of
/// Statistics 7, 1979), section 3: the median of 13 that are drawn from 13 is
/// the 2nd, 3rd, ... 7th of them with the probabilities 0.0015, 0.0142, 0.0550,
/// 0.1242, 0.1936, 0.2230. So below the 4th are 1.57 %, up to it 7.07 %.
TEST(Bootstrap, MediansAreThoseOfEfron)
{
    EXPECT_EQ(median_interval(kThirteen, {}), (Interval{4, 10}));
    for (const double confidence : {0.90, 0.95})
        EXPECT_EQ(median_interval(kThirteen, {1, 10'000, confidence}),
                  (Interval{4, 10}));
    EXPECT_EQ(median_interval(kThirteen, {1, 10'000, 0.98}), (Interval{3, 11}));
    // 7.07 % and 19.49 % are up to the 4th and the 5th.
    EXPECT_EQ(median_interval(kThirteen, {1, 10'000, 0.80}), (Interval{5, 9}));
}

TEST(Bootstrap, SameSeedSameInterval)
{
    const Sample sample{1.5, 9, 2.25, 70, 3, 4, 8, 16};
    const Interval first = median_interval(sample, {42});
    EXPECT_EQ(median_interval(sample, {42}), first);
    EXPECT_TRUE(first.contains(6));
    EXPECT_GT(first.low, 1.4);
    EXPECT_LT(first.high, 71);
}

TEST(Bootstrap, IntervalIsWithinTheSample)
{
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        const Interval interval = median_interval({3, 5}, {seed, 1000});
        EXPECT_EQ(interval, (Interval{3, 5}));
    }
    EXPECT_EQ(median_interval({5}, {}), (Interval{5, 5}));
    EXPECT_EQ(median_interval({0, 0, 0}, {}), (Interval{0, 0}));
}

TEST(Bootstrap, MirroredSampleHasAMirroredInterval)
{
    Sample mirrored;
    for (const double number : kThirteen) mirrored.push_back(-number);
    EXPECT_EQ(median_interval(mirrored, {}), (Interval{-10, -4}));
}

TEST(Bootstrap, DifferenceOfTwoSamples)
{
    EXPECT_EQ(difference_interval({5, 5}, {7, 7, 7}, {}), (Interval{2, 2}));
    Sample shifted;
    for (const double number : kThirteen) shifted.push_back(number + 100);
    const Interval interval = difference_interval(kThirteen, shifted, {});
    EXPECT_TRUE(interval.contains(100));
    EXPECT_FALSE(interval.contains(0));
    // Wider than that of one sample, which is 6.
    EXPECT_GT(interval.high - interval.low, 6);
    EXPECT_EQ(difference_interval(kThirteen, shifted, {}), interval);
}

TEST(Bootstrap, NothingToDrawFrom)
{
    EXPECT_THROW((void)median_interval({}, {}), std::logic_error);
    EXPECT_THROW((void)difference_interval({1}, {}, {}), std::logic_error);
    EXPECT_THROW((void)median_interval({1}, {1, 0}), std::logic_error);
}

}  // namespace
}  // namespace ipidefer::statistics
