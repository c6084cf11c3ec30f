// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/console.hpp"

#include <gtest/gtest.h>

#include "base/failure.hpp"
#include "base/file.hpp"
#include "base/scratch.hpp"

namespace ipidefer::lab {
namespace {

using namespace std::chrono_literals;

TEST(ConsoleDefect, WhatKernelsPrintWhenTheyAreInTrouble)
{
    const std::pair<const char*, const char*> cases[] = {
        {"[    1.0] Kernel panic - not syncing: Attempted to kill init!",
         "a panic"},
        {"[   30.1] watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [sh:83]",
         "a soft lockup"},
        {"[   30.1] watchdog: Watchdog detected hard LOCKUP on cpu 1",
         "a hard lockup"},
        {"[    2.0] BUG: unable to handle page fault for address: 0008",
         "a bug"},
        {"[    2.0] kernel BUG at mm/vmalloc.c:1234!", "a bug"},
        {"[    2.0] Oops: Oops: 0002 [#1] PREEMPT SMP PTI", "an oops"},
        {"[    2.0] Oops: general protection fault, probably for "
         "non-canonical address 0x8: 0000 [#1] SMP",
         "an oops"},
        {"[    2.0] WARNING: CPU: 1 PID: 1 at kernel/smp.c:780 foo+0x12/0x30",
         "a warning"},
        {"[    2.0] WARNING: suspicious RCU usage", "a warning"},
        {"[   21.0] rcu: INFO: rcu_sched detected stalls on CPUs/tasks:",
         "an RCU stall"},
        {"[   21.0] rcu: INFO: rcu_sched self-detected stall on CPU",
         "an RCU stall"},
        {"[  123.0] INFO: task sh:83 blocked for more than 120 seconds.",
         "a hung task"},
        {"[   12.0] ipi_defer: CPU1 has not answered sync_core request 2 for "
         "10 s (done 1, state 0x41), sending again",
         "a typed IPI without an answer"},
        {"lab-agent: /dev/ttyS1: No such file or directory",
         "the end of the lab's agent"},
    };
    for (const auto& [line, kind] : cases) {
        const auto trouble = defect_in(line);
        ASSERT_TRUE(trouble) << line;
        EXPECT_EQ(trouble->kind, kind);
    }
}

TEST(ConsoleDefect, LackOfTimeMayBeTheHostsDoing)
{
    const auto tick = defect_in(
        "[   17.0] WARNING: CPU: 1 PID: 23 at kernel/sched/core.c:5733 "
        "sched_tick_remote+0xc8/0xf0");
    ASSERT_TRUE(tick && tick->late);
    EXPECT_EQ(tick->kind, "a late remote tick");
    EXPECT_EQ(tick->late->limit, std::chrono::seconds{3});
    EXPECT_TRUE(
        defect_in("[ 21.0] rcu: INFO: rcu_sched self-detected stall on CPU")
            ->late);
    EXPECT_TRUE(defect_in("watchdog: BUG: soft lockup - CPU#1 stuck")->late);
    EXPECT_FALSE(
        defect_in("WARNING: CPU: 1 PID: 1 at kernel/smp.c:780 foo+0x1/0x3")
            ->late);
    EXPECT_FALSE(defect_in("Kernel panic - not syncing: no")->late);
}

TEST(ConsoleDefect, WhatHealthyKernelsPrint)
{
    for (const char* line :
         {"[    0.0] Command line: console=ttyS0 panic=-1",
          "[    0.1] WARNING: Spectre v2 mitigation leaves CPU vulnerable",
          "[    0.1] debug: unmapping init [mem 0x0-0x1]",
          "[    0.4] ipi_defer: no hypervisor offers deferral, running as "
          "ipi_defer=off",
          "[    0.4] ipi_defer: fault injection: drop_flush",
          "[    0.5] rcu: \tRCU CPU stall timeout is 21", ""})
        EXPECT_FALSE(defect_in(line)) << line;
}

constexpr char kLateTick[] =
    "WARNING: CPU: 0 PID: 10 at kernel/sched/core.c:5733 "
    "sched_tick_remote+0x183/0x1b0";

TEST(Excuse, HostThatRunsTheGuestIsNoneUnlessItIsEmulated)
{
    const Lateness late = *defect_in(kLateTick)->late;
    const HostTime::Clock::time_point now;
    HostTime time;
    time.add("vCPU 0", now, {});
    time.update(0, now + 5s, {.ran = 5s});
    EXPECT_FALSE(excuse(late, time, now + 5s, false));
    const auto found = excuse(late, time, now + 5s, true);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->thread, "the box");
    EXPECT_EQ(found->lost, late.limit);
}

TEST(Excuse, ThreadThatIsKnownToHaveLostTimeIsNamedInTheBoxToo)
{
    const Lateness late = *defect_in(kLateTick)->late;
    const HostTime::Clock::time_point now;
    HostTime time;
    time.add("vCPU 0", now, {});
    time.update(0, now + 5s, {.ran = 1s, .waited = 4s});
    for (const bool emulated : {false, true}) {
        const auto found = excuse(late, time, now + 5s, emulated);
        ASSERT_TRUE(found);
        EXPECT_EQ(found->thread, "vCPU 0");
        EXPECT_EQ(found->lost, 4s);
    }
}

class ConsoleTest : public testing::Test {
  protected:
    Scratch scratch_;
    std::filesystem::path log_ = scratch_.path() / "console.log";
    Console console_{log_};
};

TEST_F(ConsoleTest, LineThatArrivesInPiecesIsSeen)
{
    console_.feed("[ 1.0] Kernel pan");
    EXPECT_FALSE(console_.defect());
    console_.feed("ic - not syncing: no\r\nmore\n");
    EXPECT_EQ(console_.defect(),
              "a panic: [ 1.0] Kernel panic - not syncing: no");
}

TEST_F(ConsoleTest, FirstDefectStays)
{
    console_.feed("BUG: one\nKernel panic - not syncing: two\n");
    EXPECT_EQ(console_.defect(), "a bug: BUG: one");
}

TEST_F(ConsoleTest, TroubleThatLackOfTimeDoesNotExplainGoesFirst)
{
    console_.feed("watchdog: BUG: soft lockup - one\n");
    EXPECT_TRUE(console_.late());
    console_.feed("kernel BUG at two\nkernel BUG at three\n");
    EXPECT_EQ(console_.defect(), "a bug: kernel BUG at two");
    EXPECT_FALSE(console_.late());
}

TEST_F(ConsoleTest, TailIsTheLastLinesAndTheUnfinishedOne)
{
    for (int i = 0; i < 100; ++i)
        console_.feed("line " + std::to_string(i) + '\n');
    console_.feed("then");
    const std::string tail = console_.tail();
    EXPECT_EQ(tail.find("line 59\n"), std::string::npos);
    EXPECT_EQ(tail.find("line 60\n"), 0u);
    EXPECT_TRUE(tail.ends_with("line 99\nthen\n"));
}

TEST_F(ConsoleTest, OutputWithoutEndOfLineIsCutNotHoarded)
{
    console_.feed(std::string(1u << 20, 'x'));
    EXPECT_LT(console_.tail().size(), std::size_t{200'000});
}

TEST_F(ConsoleTest, FileHasEveryByte)
{
    const std::string bytes{"a\r\n\0b", 5};
    console_.feed(bytes);
    EXPECT_EQ(read_whole(log_), bytes);
}

TEST(Console, FolderThatIsNotThereIsNamed)
{
    EXPECT_THROW(Console{"/nonexistent/console.log"}, Failure);
}

}  // namespace
}  // namespace ipidefer::lab
