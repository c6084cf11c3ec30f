// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/trace/timeline.hpp"

#include <gtest/gtest.h>

namespace ipidefer::trace {
namespace {

constexpr std::uint64_t kHz = 1'000'000'000;  // one tick is a nanosecond

segment::Clock clock(std::uint64_t tsc, std::uint64_t monotonic)
{
    segment::Clock clock;
    clock.sample = {tsc, monotonic, 0};
    clock.tsc_hz = kHz;
    return clock;
}

TEST(Timeline, OneSampleGoesOnByTheFrequencyBothWays)
{
    const Timeline line{clock(1'000, 50'000)};
    EXPECT_EQ(line.ns(1'000), 50'000);
    EXPECT_EQ(line.ns(1'300), 50'300);
    EXPECT_EQ(line.ns(700), 49'700);
}

// The TSC runs 1 in 1000 faster than what was told: after an hour a trace with
// one sample would be wrong by 3.6 seconds.
TEST(Timeline, DriftIsFollowed)
{
    constexpr std::uint64_t kSecond = 1'000'000'000;
    Timeline line{clock(0, 0)};
    for (std::uint64_t second = 1; second <= 3600; ++second)
        line.add(clock(second * (kSecond + kSecond / 1000), second * kSecond));
    const std::uint64_t hour = 3600 * (kSecond + kSecond / 1000);
    EXPECT_EQ(line.ns(hour), static_cast<std::int64_t>(3600 * kSecond));
    EXPECT_EQ(line.ns(hour / 2), static_cast<std::int64_t>(1800 * kSecond));
}

TEST(Timeline, DoesNotRunBackwards)
{
    Timeline line{clock(0, 0)};
    line.add(clock(1'000, 900));
    line.add(clock(2'000, 2'100));
    std::int64_t last = line.ns(0);
    for (std::uint64_t tsc = 1; tsc < 3'000; ++tsc) {
        EXPECT_GE(line.ns(tsc), last) << tsc;
        last = line.ns(tsc);
    }
}

TEST(Timeline, SampleThatIsNotNewerIsNoNews)
{
    Timeline line{clock(1'000, 50'000)};
    line.add(clock(1'000, 60'000));
    line.add(clock(900, 60'000));
    line.add(clock(1'100, 40'000));
    EXPECT_EQ(line.samples(), 1u);
    EXPECT_EQ(line.ns(1'000), 50'000);
}

TEST(Timeline, SamplesAreBoundedAndTheEndsStay)
{
    Timeline line{clock(1, 1)};
    for (std::uint64_t i = 2; i <= 20'000; ++i) line.add(clock(i, 2 * i));
    EXPECT_LE(line.samples(), 4096u);
    EXPECT_GE(line.samples(), 2048u);
    EXPECT_EQ(line.ns(1), 1);
    EXPECT_EQ(line.ns(20'000), 40'000);
    EXPECT_NEAR(static_cast<double>(line.ns(10'000)), 20'000, 2);
}

TEST(Timeline, WithoutAFrequencyTimeIsTheTsc)
{
    segment::Clock none;
    none.sample = {5, 1'000, 0};
    Timeline line{none};
    none.sample = {50, 2'000, 0};
    line.add(none);
    for (const std::uint64_t tsc : {3u, 7u, 70u})
        EXPECT_EQ(line.ns(tsc), static_cast<std::int64_t>(tsc));
}

}  // namespace
}  // namespace ipidefer::trace
