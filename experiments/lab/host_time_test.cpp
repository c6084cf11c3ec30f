// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/host_time.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

namespace ipidefer::lab {
namespace {

using namespace std::chrono_literals;
using Share = HostTime::Share;

TEST(ThreadTime, IsReadFromWhatTheKernelWrites)
{
    const auto time = parse_thread_time(
        "9096472 25644845 3\n", "17 (CPU 0) (x) T 1 17 17 0 -1 4194560");
    ASSERT_TRUE(time);
    EXPECT_EQ(time->ran, 9096472ns);
    EXPECT_EQ(time->waited, 25644845ns);
    EXPECT_TRUE(time->stopped);
    EXPECT_FALSE(time->ready);
}

TEST(ThreadTime, OtherTextIsNone)
{
    EXPECT_FALSE(parse_thread_time("", "17 (x) R 1"));
    EXPECT_FALSE(parse_thread_time("1 2 3", ""));
    EXPECT_FALSE(parse_thread_time("a b c", "17 (x) R 1"));
}

TEST(ThreadTime, ThisThreadHasSome)
{
    ProcessTime time;
    time.watch("this", ::getpid(), ::getpid());
    time.sample();
    EXPECT_FALSE(
        time.time().starvation(HostTime::Clock::now(), 1s, Share::kHalf));
}

/// A thread that is looked at each second.
class HostTimeTest : public testing::Test {
  protected:
    HostTimeTest() { time_.add("vCPU 2", now_, {}); }

    void second(std::chrono::nanoseconds ran, std::chrono::nanoseconds waited,
                bool stopped = false, bool ready = false)
    {
        now_ += 1s;
        last_.ran += ran;
        last_.waited += waited;
        last_.stopped = stopped;
        last_.ready = ready;
        time_.update(0, now_, last_);
    }

    HostTime time_;
    HostTime::Clock::time_point now_;
    ThreadTime last_;
};

TEST_F(HostTimeTest, IdleThreadIsNotStarved)
{
    for (int i = 0; i < 10; ++i) second(0ms, 0ms);
    EXPECT_FALSE(time_.starvation(now_, 10s, Share::kHalf));
}

TEST_F(HostTimeTest, StoppedThreadIs)
{
    second(1s, 0ms);
    for (int i = 0; i < 5; ++i) second(0ms, 0ms, true);
    const auto found = time_.starvation(now_, 5s, Share::kNearlyAll);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->thread, "vCPU 2");
    EXPECT_EQ(found->lost, 5s);
}

TEST_F(HostTimeTest, WaitThatHasNotEndedCounts)
{
    for (int i = 0; i < 5; ++i) second(0ms, 0ms, false, true);
    EXPECT_TRUE(time_.starvation(now_, 5s, Share::kNearlyAll));
    // When it ends, the kernel counts all of it: no second is lost twice.
    second(500ms, 5500ms);
    EXPECT_EQ(time_.starvation(now_, 6s, Share::kHalf)->lost, 5500ms);
}

TEST_F(HostTimeTest, ThreadThatRunsALittleMakesProgress)
{
    for (int i = 0; i < 10; ++i) second(100ms, 900ms);
    EXPECT_TRUE(time_.starvation(now_, 10s, Share::kHalf));
    EXPECT_FALSE(time_.starvation(now_, 10s, Share::kNearlyAll));
}

TEST_F(HostTimeTest, WhatWasBeforeOrAfterDoesNotCount)
{
    for (int i = 0; i < 9; ++i) second(0ms, 0ms, true);
    const auto end = now_ + 9s;
    for (int i = 0; i < 9; ++i) second(1s, 0ms);
    for (int i = 0; i < 9; ++i) second(0ms, 0ms, true);
    EXPECT_FALSE(time_.starvation(end, 9s, Share::kHalf));
}

}  // namespace
}  // namespace ipidefer::lab
