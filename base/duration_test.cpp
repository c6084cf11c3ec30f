// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/duration.hpp"

#include <gtest/gtest.h>

#include "base/failure_testing.hpp"

namespace ipidefer {
namespace {

using namespace std::chrono_literals;

std::string refusal(std::string_view text)
{
    return refusal_of([&] { return parse_duration(text); });
}

TEST(Duration, EveryUnitIsRead)
{
    EXPECT_EQ(parse_duration("5ns"), 5ns);
    EXPECT_EQ(parse_duration("250us"), 250us);
    EXPECT_EQ(parse_duration("10ms"), 10ms);
    EXPECT_EQ(parse_duration("1.5s"), 1500ms);
    EXPECT_EQ(parse_duration("2m"), 2min);
    EXPECT_EQ(parse_duration("1h"), 1h);
    EXPECT_EQ(parse_duration("0"), 0ns);
}

TEST(Duration, NonsenseIsNamed)
{
    EXPECT_EQ(refusal("10"),
              "duration '10': it lacks a unit: ns, us, ms, s, m or h");
    EXPECT_EQ(refusal("10 ms"),
              "duration '10 ms': ' ms' is none of the units ns, us, ms, s, m, "
              "h");
    for (const char* text : {"", "ms", "-1s", "inf", "nan", "0x10s"})
        EXPECT_NE(refusal(text), "") << text;
    EXPECT_EQ(refusal("99999h"),
              "duration '99999h': it is longer than 11 days");
}

TEST(Duration, IsFormattedInTheLargestUnitThatFits)
{
    EXPECT_EQ(format_duration(0ns), "0");
    EXPECT_EQ(format_duration(999ns), "999ns");
    EXPECT_EQ(format_duration(10ms), "10ms");
    EXPECT_EQ(format_duration(1500us), "1.5ms");
    EXPECT_EQ(format_duration(1'002'003'004ns), "1.002s");
    EXPECT_EQ(format_duration(90s), "90s");
}

}  // namespace
}  // namespace ipidefer
