// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/bench/bench_core.hpp"

#include <gtest/gtest.h>

#include "base/failure.hpp"

namespace ipidefer::bench {
namespace {

TEST(RatioTable, TimesAreOverTheBareCmpxchgOfTheSameRun)
{
    const auto table = ratio_table(R"({"benchmarks": [
        {"name": "BareCmpxchg", "cpu_time": 4.0},
        {"name": "Deferred", "cpu_time": 10.0},
        {"name": "Paired/iterations:500", "cpu_time": 99.0,
         "ratio_p10": 1.5, "ratio_median": 2.25, "ratio_p90": 3.0}]})");
    EXPECT_EQ(table,
              "decision                        ns       over bare cmpxchg\n"
              "BareCmpxchg                   4.00                    1.00\n"
              "Deferred                     10.00                    2.50\n"
              "Paired                                 2.25 (1.50 to 3.00)\n");
}

TEST(RatioTable, WithoutTheBaseThereAreNoRatios)
{
    const auto table = ratio_table(
        R"({"benchmarks": [{"name": "Deferred", "cpu_time": 10.0}]})");
    EXPECT_NE(table.find("10.00                       -\n"), std::string::npos);
}

TEST(RatioTable, OtherOutputIsRefused)
{
    EXPECT_THROW((void)ratio_table("no JSON"), Failure);
    try {
        (void)ratio_table("{\"benchmarks\":" + std::string(80'000, '[') +
                          std::string(80'000, ']') + '}');
        ADD_FAILURE() << "it was taken";
    } catch (const Failure& failure) {
        EXPECT_STREQ(
            failure.what(),
            "the benchmark's output is not what was expected: JSON: it "
            "is nested 80001 deep, the most is 64");
    }
    EXPECT_THROW((void)ratio_table("{}"), Failure);
}

}  // namespace
}  // namespace ipidefer::bench
