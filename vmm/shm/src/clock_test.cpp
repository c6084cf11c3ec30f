// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/shm/src/clock.hpp"

#include <gtest/gtest.h>

namespace ipidefer::shm {
namespace {

TEST(Clock, FrequencyIsTicksOverTime)
{
    const ipidefer_clock_sample from{1'000, 50'000'000, 0};
    const ipidefer_clock_sample to{1'000 + 30'000'000, 60'000'000, 0};
    EXPECT_EQ(tsc_frequency(from, to), 3'000'000'000u);
}

TEST(Clock, TooShortATimeSaysNothing)
{
    const ipidefer_clock_sample from{1'000, 50'000'000, 0};
    EXPECT_EQ(tsc_frequency(from, {2'000, 50'999'999, 0}), 0u);
    EXPECT_EQ(tsc_frequency(from, from), 0u);
}

TEST(Clock, TscThatDoesNotRunForwardSaysNothing)
{
    const ipidefer_clock_sample from{1'000, 50'000'000, 0};
    EXPECT_EQ(tsc_frequency(from, {1'000, 90'000'000, 0}), 0u);
    EXPECT_EQ(tsc_frequency(from, {999, 90'000'000, 0}), 0u);
}

TEST(Clock, SamplesDoNotRunBackwards)
{
    const auto first = sample_clocks();
    const auto second = sample_clocks();
    EXPECT_NE(first.realtime_ns, 0u);
    EXPECT_LE(first.monotonic_ns, second.monotonic_ns);
}

}  // namespace
}  // namespace ipidefer::shm
