// SPDX-License-Identifier: GPL-2.0-or-later
// Against published tables and examples, whose sources are named.
#include "experiments/statistics/rank_tests.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

namespace ipidefer::statistics {
namespace {

/// 1 to n, with signs so that the negative ranks sum up to `sum`.
Sample with_negative_ranks(unsigned n, unsigned sum)
{
    Sample differences;
    for (unsigned rank = n; rank > 0; --rank) {
        const bool negative = rank <= sum;
        if (negative) sum -= rank;
        differences.push_back(negative ? -static_cast<double>(rank)
                                       : static_cast<double>(rank));
    }
    EXPECT_EQ(sum, 0u);
    return differences;
}

/// Heights of Darwin's cross- and self-fertilised maize, in eighths of an inch,
/// as Fisher has their differences (The Design of Experiments, 1935, section
/// 17).
const Sample kMaize{49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48};

/// Critical values of T, two-sided 5 %, of McCornack, Extended Tables of the
/// Wilcoxon Matched Pair Signed Rank Statistic (Journal of the American
/// Statistical Association 60, 1965): the greatest T that is significant.
TEST(SignedRank, CriticalValuesOfTheTable)
{
    constexpr std::pair<unsigned, unsigned> kTable[] = {
        {6, 0},   {7, 2},   {8, 3},   {9, 5},   {10, 8},  {11, 10}, {12, 13},
        {13, 17}, {14, 21}, {15, 25}, {16, 29}, {17, 34}, {18, 40}, {19, 46},
        {20, 52}, {21, 58}, {22, 65}, {23, 73}, {24, 81}, {25, 89}};
    for (const auto& [n, critical] : kTable) {
        const auto at = signed_rank_test(with_negative_ranks(n, critical));
        EXPECT_TRUE(at.exact);
        EXPECT_EQ(at.used, n);
        EXPECT_LE(at.p, 0.05) << n;
        EXPECT_GT(signed_rank_test(with_negative_ranks(n, critical + 1)).p,
                  0.05)
            << n;
    }
}

/// The example of R's ?wilcox.test, after Hollander and Wolfe (1973), page 29:
/// V = 40, one-sided p = 0.01953.
TEST(SignedRank, ExampleOfHollanderAndWolfe)
{
    const Sample x{1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30};
    const Sample y{0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29};
    EXPECT_NEAR(signed_rank_test(paired_differences(y, x)).p, 2 * 0.01953125,
                1e-12);
}

TEST(SignedRank, MaizeOfDarwin)
{
    // 24 is the sum of the negative ranks.
    EXPECT_NEAR(signed_rank_test(kMaize).p, 0.04126, 5e-6);
}

TEST(SignedRank, SidesAreAlike)
{
    for (unsigned sum = 0; sum <= 55; ++sum) {
        Sample other = with_negative_ranks(10, sum);
        const double p = signed_rank_test(other).p;
        for (double& difference : other) difference = -difference;
        EXPECT_EQ(signed_rank_test(other).p, p);
        EXPECT_NEAR(signed_rank_test(with_negative_ranks(10, 55 - sum)).p, p,
                    1e-12);
    }
}

/// By hand: sizes 1, 1, 2 have the ranks 1.5, 1.5, 3. Of the 8 sums 0, 1.5,
/// 1.5, 3, 3, 4.5, 4.5, 6, three are 4.5 or more.
TEST(SignedRank, TiesAreCountedExactly)
{
    EXPECT_EQ(signed_rank_test({-1, 1, 2}).p, 2 * 3.0 / 8);
    EXPECT_EQ(signed_rank_test({1, 1, 2}).p, 2 * 1.0 / 8);
    EXPECT_EQ(signed_rank_test({-1, 1}).p, 1);
    // All the same: only signs differ, as in the sign test.
    const Sample same{3, 3, 3, 3, 3, 3, -3};
    EXPECT_NEAR(signed_rank_test(same).p, sign_test(same).p, 1e-12);
}

TEST(SignedRank, ZerosTakeNoPart)
{
    EXPECT_EQ(signed_rank_test({0, -1, 0, 1, 2}), (TestResult{0.75, 3, true}));
    EXPECT_EQ(signed_rank_test({0, 0, 0}), (TestResult{1, 0, true}));
    EXPECT_EQ(signed_rank_test({}), (TestResult{1, 0, true}));
}

/// Of 30 the table has 137.
TEST(SignedRank, ManyAreNearlyNormal)
{
    const auto at = signed_rank_test(with_negative_ranks(30, 137));
    EXPECT_FALSE(at.exact);
    EXPECT_NEAR(at.p, 0.05, 0.002);
    EXPECT_EQ(signed_rank_test(Sample(40, 0)).p, 1);
    // Ties narrow the distribution, so the same sum is less likely.
    Sample tied(26, 1);
    tied[0] = -1;
    EXPECT_LT(signed_rank_test(tied).p, 1e-4);
    EXPECT_NEAR(signed_rank_test(with_negative_ranks(26, 175)).p,
                signed_rank_test(with_negative_ranks(26, 176)).p, 0.03);
}

TEST(SignedRank, NearlyNormalWhereTheExactOnesEnd)
{
    // 25 exact and 26 not, in the same place: the middle, and 5 % (89, 98).
    EXPECT_NEAR(signed_rank_test(with_negative_ranks(25, 89)).p,
                signed_rank_test(with_negative_ranks(26, 98)).p, 0.003);
}

TEST(SignedRank, FewerThanSixAreNeverSignificant)
{
    EXPECT_EQ(least_signed_rank_p(0), 1);
    for (unsigned n = 1; n <= 25; ++n) {
        EXPECT_NEAR(least_signed_rank_p(n),
                    signed_rank_test(with_negative_ranks(n, 0)).p, 1e-12);
        EXPECT_EQ(least_signed_rank_p(n) >= 0.05, n < 6);
    }
}

/// Siegel, Nonparametric Statistics for the Behavioral Sciences (1956), table
/// D: one-sided, of 10 at most 1: 0.011, at most 2: 0.055.
TEST(Sign, TableOfSiegel)
{
    const auto of_ten = [](int negative) {
        Sample differences(10, 1);
        std::fill_n(differences.begin(), negative, -1);
        return sign_test(differences).p / 2;
    };
    EXPECT_NEAR(of_ten(1), 0.011, 5e-4);
    EXPECT_NEAR(of_ten(2), 0.055, 5e-4);
    EXPECT_EQ(of_ten(5), 0.5);
    EXPECT_NEAR(of_ten(9), of_ten(1), 1e-12);
}

TEST(Sign, MaizeOfDarwin)
{
    // 2 of 15: 2 * (1 + 15 + 105) / 2^15.
    EXPECT_NEAR(sign_test(kMaize).p, 242.0 / 32768, 1e-12);
}

TEST(Sign, ZerosTakeNoPart)
{
    EXPECT_EQ(sign_test({0, 0}), (TestResult{1, 0, true}));
    EXPECT_EQ(sign_test({0, 1}).p, 1);
    EXPECT_EQ(sign_test({0, 1}).used, 1u);
    EXPECT_GT(sign_test(Sample(1000, 1)).p, 0);
}

/// @return two samples of the sizes n and m, where U of the second is `u`
std::pair<Sample, Sample> with_u(unsigned n, unsigned m, unsigned u)
{
    Sample base;
    for (unsigned i = 0; i < n; ++i) base.push_back(10 * (i + 1));
    Sample other;
    for (unsigned i = 0; i < m; ++i) {
        // So many of base are below this one.
        const unsigned below = std::min(n, u);
        u -= below;
        other.push_back(10 * below + 5 + 0.01 * i);
    }
    EXPECT_EQ(u, 0u);
    return {base, other};
}

/// Critical values of U, two-sided 5 %, as in table 11 of Auble, Extended
/// Tables for the Mann-Whitney Statistic (Indiana University, 1953).
TEST(RankSum, CriticalValuesOfTheTable)
{
    struct Entry {
        unsigned n, m, critical;
    };
    constexpr Entry kTable[] = {
        {4, 4, 0},    {5, 5, 2},  {6, 6, 5},    {7, 7, 8},     {8, 8, 13},
        {10, 10, 23}, {5, 10, 8}, {15, 15, 64}, {20, 20, 127}, {10, 20, 55}};
    for (const auto& [n, m, critical] : kTable) {
        const auto [base, other] = with_u(n, m, critical);
        EXPECT_LE(rank_sum_test(base, other).p, 0.05) << n << ' ' << m;
        const auto [base_1, other_1] = with_u(n, m, critical + 1);
        EXPECT_GT(rank_sum_test(base_1, other_1).p, 0.05) << n << ' ' << m;
        EXPECT_NEAR(rank_sum_test(other, base).p, rank_sum_test(base, other).p,
                    1e-12);
    }
}

/// The example of R's ?wilcox.test, after Hollander and Wolfe (1973), page 69:
/// W = 35, one-sided p = 0.1272.
TEST(RankSum, ExampleOfHollanderAndWolfe)
{
    const Sample x{0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46};
    const Sample y{1.15, 0.88, 0.90, 0.74, 1.21};
    EXPECT_NEAR(rank_sum_test(x, y).p, 2 * 0.1272, 1e-4);
}

TEST(RankSum, AllTheSame)
{
    EXPECT_EQ(rank_sum_test({5, 5, 5}, {5, 5}).p, 1);
    EXPECT_EQ(rank_sum_test(Sample(30, 5), Sample(30, 5)).p, 1);
    EXPECT_EQ(rank_sum_test({}, {1}).p, 1);
}

TEST(RankSum, ManyAreNearlyNormal)
{
    const auto [base, other] = with_u(25, 25, 211);
    const auto [base_more, other_more] = with_u(26, 26, 230);
    const auto exact = rank_sum_test(base, other);
    const auto normal = rank_sum_test(base_more, other_more);
    EXPECT_TRUE(exact.exact);
    EXPECT_FALSE(normal.exact);
    EXPECT_NEAR(exact.p, 0.05, 0.005);
    EXPECT_NEAR(normal.p, 0.05, 0.005);
}

TEST(RankSum, LeastP)
{
    EXPECT_NEAR(least_rank_sum_p(3, 3), 0.1, 1e-12);
    EXPECT_NEAR(least_rank_sum_p(4, 4), 2.0 / 70, 1e-12);
    EXPECT_NEAR(least_rank_sum_p(1, 39), 0.05, 1e-12);
    EXPECT_EQ(least_rank_sum_p(1, 1), 1);
    EXPECT_EQ(least_rank_sum_p(0, 5), 1);
    const auto [base, other] = with_u(5, 7, 0);
    EXPECT_NEAR(least_rank_sum_p(5, 7), rank_sum_test(base, other).p, 1e-12);
}

}  // namespace
}  // namespace ipidefer::statistics
