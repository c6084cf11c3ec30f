// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/report/factors.hpp"

#include <gtest/gtest.h>

#include <tuple>

#include "experiments/report/report_testing.hpp"

namespace ipidefer::report {
namespace {

LabRun swept(const std::string& arm, const Factors& factors,
             std::uint64_t calls)
{
    LabRun run = test::run_of(arm, 1, calls);
    run.script = "mixed";
    run.factors = factors;
    run.workload = with_factors(run.script, factors);
    return run;
}

TEST(FactorsTest, AreBehindTheNameOfTheWorkload)
{
    EXPECT_EQ(with_factors("mixed", {}), "mixed");
    EXPECT_EQ(with_factors("mixed", {{"cpus", "8"}, {"pti", "on"}}),
              "mixed, cpus=8, pti=on");
}

TEST(FactorsTest, EachHasATableWhateverTheOthersAre)
{
    LabReport report;
    for (const auto& [cpus, pti, calls] :
         {std::tuple{"4", "on", 10U}, {"4", "off", 20U}, {"8", "on", 30U}}) {
        const Factors factors{{"cpus", cpus}, {"pti", pti}};
        report.runs.push_back(swept("off", factors, calls));
        report.runs.push_back(swept("hv", factors, 0));
    }
    // It was interrupted before it came to hv of the last.
    report.runs.push_back(swept("off", {{"cpus", "8"}, {"pti", "off"}}, 50));
    const auto tables = factor_tables_of(report);
    ASSERT_EQ(tables.size(), 2u);
    EXPECT_EQ(tables[0].factor, "cpus");
    EXPECT_EQ(tables[0].modes, (std::vector<std::string>{"off", "hv"}));
    ASSERT_EQ(tables[0].rows.size(), 2u);
    EXPECT_EQ(tables[0].rows[0].samples[0], (statistics::Sample{10, 20}));
    EXPECT_EQ(tables[0].rows[1].samples[0], (statistics::Sample{30, 50}));
    EXPECT_EQ(tables[1].rows[0].value, "on");
    EXPECT_EQ(tables[1].rows[0].samples[0], (statistics::Sample{10, 30}));
    EXPECT_EQ(tables[1].rows[0].samples[1], (statistics::Sample{0, 0}));
}

TEST(FactorsTest, TablesAreForPeopleToo)
{
    LabReport report;
    report.runs = {swept("off", {{"cpus", "4"}}, 10),
                   swept("hv", {{"cpus", "4"}}, 0),
                   swept("off", {{"cpus", "16"}}, 30)};
    EXPECT_EQ(render(factor_tables_of(report)),
              "workload mixed, by cpus: interrupts that they took\n"
              "cpus  off  hv\n"
              "4      10   0\n"
              "16     30   -\n");
}

TEST(FactorsTest, WithoutASweepThereIsNone)
{
    LabReport report;
    report.runs = {test::run_of("off", 1, 10)};
    EXPECT_TRUE(factor_tables_of(report).empty());
    EXPECT_EQ(render({}), "");
}

}  // namespace
}  // namespace ipidefer::report
