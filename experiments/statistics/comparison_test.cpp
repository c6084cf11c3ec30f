// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/statistics/comparison.hpp"

#include <gtest/gtest.h>

namespace ipidefer::statistics {
namespace {

const Sample kEight{20, 22, 21, 19, 20, 23, 20, 18};

TEST(ComparePairs, ClearDifference)
{
    const Sample none(8, 0);
    const Comparison less = compare_pairs(kEight, none, {});
    EXPECT_EQ(less.verdict, Verdict::kLess);
    EXPECT_EQ(less.count, 8u);
    EXPECT_EQ(less.difference, -20);
    EXPECT_EQ(less.p, 2.0 / 256);
    EXPECT_NEAR(less.p_sign, 2.0 / 256, 1e-12);
    EXPECT_LT(less.interval.high, 0);
    const Comparison more = compare_pairs(none, kEight, {});
    EXPECT_EQ(more.verdict, Verdict::kMore);
    EXPECT_EQ(more.difference, 20);
    EXPECT_EQ(more.p, less.p);
}

TEST(ComparePairs, NoDifferenceSeen)
{
    const Comparison same = compare_pairs(kEight, kEight, {});
    EXPECT_EQ(same.verdict, Verdict::kNoDifferenceSeen);
    EXPECT_EQ(same.interval, (Interval{0, 0}));
    EXPECT_EQ(same.p, 1);
    EXPECT_EQ(same.p_sign, 1);
    const Comparison noise =
        compare_pairs(kEight, {21, 21, 22, 18, 21, 22, 21, 17}, {});
    EXPECT_EQ(noise.verdict, Verdict::kNoDifferenceSeen);
    EXPECT_TRUE(noise.interval.contains(0));
}

/// Most are the same, and the median with them, however significant the rest.
TEST(ComparePairs, IntervalAndTestAreBothAsked)
{
    Sample other(20, 5);
    for (std::size_t i = 0; i < 8; ++i) other[i] = 6;
    const Comparison seen = compare_pairs(Sample(20, 5), other, {});
    EXPECT_LT(seen.p, kSignificant);
    EXPECT_TRUE(seen.interval.contains(0));
    EXPECT_EQ(seen.verdict, Verdict::kNoDifferenceSeen);
}

/// The median is where it is whatever is drawn, but one pair outweighs many.
TEST(ComparePairs, IntervalAloneIsNotEnough)
{
    const Comparison seen =
        compare_pairs(Sample(8, 20), {21, 21, 21, 21, 21, 21, 21, 10}, {});
    EXPECT_FALSE(seen.interval.contains(0));
    EXPECT_GT(seen.p, kSignificant);
    EXPECT_EQ(seen.verdict, Verdict::kNoDifferenceSeen);
}

TEST(ComparePairs, TooFewWhateverTheyAre)
{
    for (std::size_t pairs = 1; pairs <= 8; ++pairs) {
        const auto seen = compare_pairs(Sample(pairs, 0), Sample(pairs, 9), {});
        EXPECT_EQ(seen.verdict, pairs < 6 ? Verdict::kTooFew : Verdict::kMore)
            << pairs;
        EXPECT_EQ(seen.difference, 9);
    }
    EXPECT_EQ(fewest_pairs(), 6u);
    EXPECT_EQ(too_few_pairs(2),
              "no difference can be seen with 2 pairs: it takes 6 or more");
    EXPECT_EQ(too_few_pairs(1),
              "no difference can be seen with 1 pair: it takes 6 or more");
}

TEST(CompareSamples, OfTwoExperiments)
{
    const Comparison more =
        compare_samples({1, 2, 3, 4, 5}, {11, 12, 13, 14}, {});
    EXPECT_EQ(more.verdict, Verdict::kMore);
    EXPECT_EQ(more.difference, 9.5);
    EXPECT_EQ(more.count, 4u);
    EXPECT_EQ(compare_samples(kEight, kEight, {}).verdict,
              Verdict::kNoDifferenceSeen);
    EXPECT_EQ(compare_samples({1, 2, 3}, {7, 8, 9}, {}).verdict,
              Verdict::kTooFew);
}

TEST(Verdict, HasWords)
{
    EXPECT_STREQ(words_of(Verdict::kLess), "less");
    EXPECT_STREQ(words_of(Verdict::kMore), "more");
    EXPECT_STREQ(words_of(Verdict::kNoDifferenceSeen), "no difference seen");
    EXPECT_STREQ(words_of(Verdict::kTooFew), "too few");
}

}  // namespace
}  // namespace ipidefer::statistics
