// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/sweep.hpp"

#include <gtest/gtest.h>

#include "base/failure_testing.hpp"

namespace ipidefer::lab {
namespace {

using Values = std::vector<std::string>;

TEST(Sweep, ValuesAreBetweenCommas)
{
    EXPECT_EQ(parse_factor("cpus=4,8,16"),
              (Factor{"cpus", Values{"4", "8", "16"}}));
    EXPECT_EQ(parse_factor("pti=on"), (Factor{"pti", Values{"on"}}));
}

TEST(Sweep, OrBetweenBarsWhereTheyHaveCommas)
{
    EXPECT_EQ(parse_factor("isolated=2-3|1,3"),
              (Factor{"isolated", Values{"2-3", "1,3"}}));
    // Without and with it.
    EXPECT_EQ(parse_factor("append=|mitigations=off"),
              (Factor{"append", Values{"", "mitigations=off"}}));
}

TEST(Sweep, WhatIsWrongIsNamed)
{
    const auto refusal = [](const std::string& text) {
        return refusal_of([&] { return parse_factor(text); });
    };
    EXPECT_EQ(refusal("cpus"), "--sweep: 'cpus' is not NAME=VALUE,VALUE,...");
    EXPECT_EQ(
        refusal("cpu=4,8"),
        "--sweep: 'cpu' is none of append, cpus, irqchip, isolated, mem, pti; "
        "other parameters of the kernel are values of append");
    EXPECT_EQ(refusal("cpus="), "--sweep: 'cpus=' has an empty value");
    EXPECT_EQ(refusal("cpus=4,,8"), "--sweep: 'cpus=4,,8' has an empty value");
    EXPECT_EQ(refusal("cpus=4,8,4"),
              "--sweep: '4' is there twice, in 'cpus=4,8,4'");
}

TEST(Sweep, PointsAreAllCombinations)
{
    EXPECT_EQ(points_of({}), (std::vector<Factors>{{}}));
    EXPECT_EQ(points_of({{"cpus", {"4", "8"}}, {"pti", {"on", "off"}}}),
              (std::vector<Factors>{{{"cpus", "4"}, {"pti", "on"}},
                                    {{"cpus", "4"}, {"pti", "off"}},
                                    {{"cpus", "8"}, {"pti", "on"}},
                                    {{"cpus", "8"}, {"pti", "off"}}}));
}

TEST(Sweep, PointsHaveALimit)
{
    Values values;
    for (int i = 0; i < 17; ++i) values.push_back(std::to_string(i));
    EXPECT_EQ(refusal_of([&] {
                  return points_of({{"cpus", values}, {"mem", values}});
              }),
              "--sweep: makes 289 combinations or more, of at most 256");
    EXPECT_EQ(refusal_of([&] {
                  return points_of({{"cpus", {"4"}}, {"cpus", {"8"}}});
              }),
              "--sweep: 'cpus' is there twice");
}

TEST(Sweep, ValuesTakeThePlaceOfWhatWasAskedFor)
{
    RawOptions raw;
    raw.append = "quiet";
    const auto at = at_point(raw, {{"cpus", "8"},
                                   {"isolated", "4-7"},
                                   {"mem", "1G"},
                                   {"irqchip", "split"},
                                   {"append", "mitigations=off"},
                                   {"pti", "off"}});
    EXPECT_EQ(at.cpus, 8u);
    EXPECT_EQ(at.isolated, "4-7");
    EXPECT_EQ(at.memory, "1G");
    EXPECT_EQ(at.irqchip, "split");
    EXPECT_EQ(at.append, "quiet mitigations=off pti=off");
    EXPECT_EQ(at_point(raw, {{"append", ""}}).append, "quiet");
    EXPECT_EQ(refusal_of([&] {
                  return at_point(raw, {{"cpus", "x"}}).cpus;
              }),
              "--sweep: 'x' is no number of vCPUs");
    EXPECT_NE(refusal_of([&] {
                  return at_point(raw, {{"pti", "x"}}).cpus;
              }),
              "");
}

}  // namespace
}  // namespace ipidefer::lab
