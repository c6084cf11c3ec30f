// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/host_time.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <iterator>
#include <thread>

#include "base/file.hpp"
#include "base/scratch.hpp"

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

TEST(ThreadTimes, AreWhatIsCopiedOfAProcess)
{
    const Scratch scratch;
    const auto file = scratch.path() / "times";
    copy_thread_times(::getpid(), file);
    const auto times = parse_thread_times(read_whole(file));
    const auto mine = times.find(std::to_string(::getpid()));
    ASSERT_NE(mine, times.end());
    EXPECT_GT(mine->second.ran, 0ns);
    EXPECT_TRUE(mine->second.ready);
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator{scratch.path()},
                            std::filesystem::directory_iterator{}),
              1)
        << "nothing is left beside it";
}

TEST(ThreadTimes, WhatCannotBeReadIsLeftOut)
{
    EXPECT_EQ(parse_thread_times(""), ThreadTimes{});
    EXPECT_EQ(parse_thread_times("7\n1 2 3\n7 (x) S 1\n"
                                 "8\nno\n8 (x) S 1\n"
                                 "9\n4 5 6\n"),
              (ThreadTimes{{"7", {.ran = 1ns, .waited = 2ns}}}));
}

TEST(ThreadTimes, CopiesAreWatchedAndOldOnesAreNot)
{
    const Scratch scratch;
    const auto file = scratch.path() / "times";
    const auto copy = [&](const char* schedstat) {
        write_whole(file, std::string{"7\n"} + schedstat + "\n7 (x) S 1\n");
    };
    ProcessTime time;
    time.watch_copies(scratch.path() / "none");
    time.sample();
    copy("0 0 0");
    time.watch_copies(file);
    std::this_thread::sleep_for(20ms);
    time.sample();
    const auto starved = [&] {
        return time.time().starvation(HostTime::Clock::now(), 10ms,
                                      Share::kHalf);
    };
    EXPECT_FALSE(starved()) << "it is the same";
    copy("0 900000000 0");
    time.sample();
    ASSERT_TRUE(starved());
    EXPECT_EQ(starved()->thread, "the box's thread 7");
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
