// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/statistics/sample.hpp"

#include <gtest/gtest.h>

#include <map>
#include <stdexcept>

#include "experiments/statistics/random.hpp"
#include "experiments/statistics/ranks.hpp"

namespace ipidefer::statistics {
namespace {

/// What R 4.2 prints for quantile(c(1, 2, 3, 4)) and quantile(1:10), type 7.
TEST(Sample, QuartilesAreThoseOfR)
{
    EXPECT_EQ(quartiles({1, 2, 3, 4}), (Quartiles{1.75, 2.5, 3.25}));
    EXPECT_EQ(quartiles({10, 9, 8, 7, 6, 5, 4, 3, 2, 1}),
              (Quartiles{3.25, 5.5, 7.75}));
    EXPECT_EQ(quartiles({5, 1, 3, 2, 4}), (Quartiles{2, 3, 4}));
}

TEST(Sample, OneNumberIsAllOfThem)
{
    EXPECT_EQ(quartiles({7}), (Quartiles{7, 7, 7}));
    EXPECT_EQ(median({7}), 7);
}

TEST(Sample, QuantilesEndAtLeastAndMost)
{
    EXPECT_EQ(quantile({3, 1, 2}, 0), 1);
    EXPECT_EQ(quantile({3, 1, 2}, 1), 3);
    EXPECT_EQ(median({4, 1}), 2.5);
}

TEST(Sample, NoneHasNoQuantiles)
{
    EXPECT_THROW((void)median({}), std::logic_error);
    EXPECT_THROW((void)quartiles({}), std::logic_error);
}

TEST(Sample, DifferencesKeepTheOrder)
{
    EXPECT_EQ(paired_differences({1, 5, 2}, {3, 1, 2}), (Sample{2, -4, 0}));
    EXPECT_THROW((void)paired_differences({1}, {}), std::logic_error);
}

TEST(Ranks, ThoseThatAreTheSameShareTheMean)
{
    // 10 is first; the two 20 are second and third: 2.5; 30 is fourth.
    const Ranks ranks = ranks_of({20, 10, 30, 20});
    EXPECT_EQ(ranks.doubled, (std::vector<std::uint64_t>{5, 2, 8, 5}));
    EXPECT_EQ(ranks.ties, 2 * 2 * 2 - 2);
    EXPECT_EQ(ranks_of({1, 2, 3}).ties, 0);
}

/// 1.96 is what tables have for 5 %.
TEST(Ranks, NormalDistribution)
{
    EXPECT_NEAR(two_sided_normal(1.959964, 1, 0), 0.05, 1e-6);
    EXPECT_NEAR(two_sided_normal(-2.575829, 1, 0), 0.01, 1e-6);
    EXPECT_EQ(two_sided_normal(0.5, 1, 1), 1);
    EXPECT_EQ(two_sided_normal(3, 0, 1), 1);
}

/// [rand.predef] says what the 10000th number of std::mt19937_64 is; of what is
/// made of it here, the numbers are pinned, since reports name their seeds.
TEST(Random, SeedMeansTheSameOnEveryMachine)
{
    std::mt19937_64 engine;
    engine.discard(9999);
    EXPECT_EQ(engine(), 9981545732273789042u);

    Random random{5489};
    std::mt19937_64 same{5489};
    for (int i = 0; i < 100; ++i) EXPECT_EQ(random.below(10), same() % 10);
}

TEST(Random, ShuffledOrdersAreAsFrequent)
{
    Random random{1};
    std::map<std::vector<int>, int> seen;
    constexpr int kRounds = 6000;
    for (int i = 0; i < kRounds; ++i) {
        std::vector<int> items{1, 2, 3};
        random.shuffle(items);
        ++seen[items];
    }
    ASSERT_EQ(seen.size(), 6u);
    for (const auto& [order, times] : seen) {
        // 1000 each, with a deviation of 29.
        EXPECT_GT(times, 850);
        EXPECT_LT(times, 1150);
    }
}

TEST(Random, ShufflesNothingAndOne)
{
    Random random{1};
    std::vector<int> none;
    random.shuffle(none);
    EXPECT_TRUE(none.empty());
    std::vector<int> one{7};
    random.shuffle(one);
    EXPECT_EQ(one, std::vector<int>{7});
    EXPECT_EQ(random.below(1), 0u);
}

}  // namespace
}  // namespace ipidefer::statistics
