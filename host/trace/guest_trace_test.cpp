// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/trace/guest_trace.hpp"

#include <gtest/gtest.h>

#include <sstream>

#include "base/failure_testing.hpp"

namespace ipidefer::trace {
namespace {

GuestTrace read(const std::string& text)
{
    std::istringstream in{text};
    return read_guest_trace(in);
}

std::string failure_of(const std::string& text)
{
    return refusal_of([&] { return read(text); });
}

/// Of a trace of one line: its task, or why it is none.
std::string task_of(const std::string& line)
{
    const GuestTrace trace = read(line + '\n');
    if (trace.lines.size() == 1 && trace.others == 0)
        return trace.lines[0].task + " on " +
               std::to_string(trace.lines[0].cpu);
    return trace.lines.empty() && trace.others == 1 ? "other" : "?";
}

TEST(GuestTrace, LinesOfFtraceAndOfTraceCmdAreRead)
{
    const auto trace = read(
        "# tracer: nop\n"
        "#\n"
        "            bash-123     [001] d..1. 2000: sched_switch: prev=a b\n"
        "CPU 0 is empty\n"
        "cpus=4\n"
        "   my [task]-7     [003]  1000: csd_queue_cpu:        cpu=2\n");
    ASSERT_EQ(trace.lines.size(), 2u);
    EXPECT_EQ(trace.lines[1].tsc, 2000u);
    EXPECT_EQ(trace.lines[1].cpu, 1u);
    EXPECT_EQ(trace.lines[1].task, "bash-123");
    EXPECT_EQ(trace.lines[1].event, "sched_switch: prev=a b");
    EXPECT_EQ(trace.lines[0].tsc, 1000u);
    EXPECT_EQ(trace.others, 0u);
    EXPECT_EQ(trace.lost, 0u);
}

TEST(GuestTrace, TasksMayBeCalledAnything)
{
    const std::string rest = "      [001] d....   9657978881: ipi: cpu=2";
    for (const char* task :
         {"wk [3] a-7-77", "[pool]-78", "[12] x-79", "job [x]: 5-80",
          "q [3] 5: z-81", "-q-82", "<...>-83", "(3)-84", "a b-85", "\xff-86"})
        EXPECT_EQ(task_of("     " + std::string{task} + rest),
                  std::string{task} + " on 1");
    // This looks like an event on CPU 3; the column says that it is a name.
    EXPECT_EQ(task_of("   a-5 [3] 15: z-81      [001] d.... 7: ipi: cpu=2"),
              "a-5 [3] 15: z-81 on 1");
    // Out of its column nothing says what it is.
    EXPECT_EQ(task_of("a-5 [3] 15: z-81 [001] d.... 7: ipi: cpu=2"), "other");
}

TEST(GuestTrace, ThreadGroupsMayBeThere)
{
    EXPECT_EQ(task_of("            bash-123     (    120) [001] d..1. 5: x: y"),
              "bash-123 on 1");
    EXPECT_EQ(task_of("          <idle>-0       (-------) [002] d..1. 5: x: y"),
              "<idle>-0 on 2");
}

TEST(GuestTrace, TextOfAnEventMayLookLikeOne)
{
    const auto trace = read(
        "              wk-86      [001] dNh2. 5: bprint: f: t-1 [3] 12: in "
        "it\n");
    ASSERT_EQ(trace.lines.size(), 1u);
    EXPECT_EQ(trace.lines[0].cpu, 1u);
    EXPECT_EQ(trace.lines[0].event, "bprint: f: t-1 [3] 12: in it");
}

TEST(GuestTrace, LostEventsAreCountedAndKeepTheirPlace)
{
    const auto trace = read(
        "              wk-1      [001] d.... 10: a: x\n"
        "CPU:1 [LOST 1234 EVENTS]\n"
        "              wk-1      [001] d.... 20: b: x\n"
        "CPU:2 [LOST EVENTS]\n"
        "CPU:0 [7 EVENTS DROPPED]\n");
    ASSERT_EQ(trace.lines.size(), 5u);
    EXPECT_EQ(trace.lost, 1241u);
    EXPECT_EQ(trace.others, 0u);
    EXPECT_EQ(trace.lines[1].tsc, 20u);
    EXPECT_EQ(trace.lines[1].cpu, 1u);
    EXPECT_EQ(trace.lines[1].task, "");
    EXPECT_EQ(trace.lines[1].event, "[LOST 1234 EVENTS]");
    EXPECT_EQ(trace.lines[2].event, "b: x");
    EXPECT_EQ(trace.lines[3].event, "[LOST EVENTS]");
}

TEST(GuestTrace, FramesOfAStackStayWithTheirEvent)
{
    const auto trace = read(
        "              wk-1      [001] d.... 10: <stack trace>\n"
        " => f\n"
        " => g\n"
        "              wk-1      [001] d.... 20: b: x\n");
    ASSERT_EQ(trace.lines.size(), 2u);
    EXPECT_EQ(trace.lines[0].event, "<stack trace> => f => g");
    EXPECT_EQ(trace.others, 0u);
    EXPECT_EQ(read(" => f\n").others, 1u);
}

TEST(GuestTrace, WhatIsNothingIsCountedAndTheFirstIsShown)
{
    const auto trace = read(
        "              wk-1      [001] d.... 18446744073709551615: last\n"
        "\n"
        "hello\n"
        "              wk-1      [001] d.... 18446744073709551616: large\n"
        "              wk-1      [4294967295] d.... 5: big cpu\n"
        "              wk-1      [001] d.... 5: \n"
        "a [x] 5: y z\n"
        "CPU:x [LOST 3 EVENTS]\n"
        "CPU:1 [FOUND 3 EVENTS]\n");
    EXPECT_EQ(trace.lines.size(), 1u);
    EXPECT_EQ(trace.others, 7u);
    EXPECT_EQ(trace.first_other, 3u);
    EXPECT_EQ(trace.first_other_text, "hello");
}

TEST(GuestTrace, TimesInSecondsAreRefusedWithTheRemedy)
{
    EXPECT_NE(failure_of("  bash-1  [000] 12.345678: x: y\n").find("x86-tsc"),
              std::string::npos);
}

TEST(GuestTrace, LatencyFormatIsRefusedWithItsOwnRemedy)
{
    const std::string why = failure_of(
        "# tracer: nop\n#\n# nop latency trace v1.1.5 on 6.12.0\n"
        "    bash     123   1d..1. 9657978881!: x: y\n");
    EXPECT_NE(why.find("options/latency-format"), std::string::npos) << why;
    EXPECT_EQ(why.find("x86-tsc"), std::string::npos) << why;
}

TEST(GuestTrace, LongestLineIsNamed)
{
    EXPECT_EQ(failure_of(std::string(kLongestGuestLine, 'x') + '\n'), "");
    EXPECT_EQ(failure_of("x\n" + std::string(kLongestGuestLine + 1, 'x')),
              "the guest's trace: line 2 has more than 65536 bytes, which is "
              "the limit");
}

TEST(GuestTrace, LastLineNeedsNoEnd)
{
    EXPECT_EQ(read("  a-1 [000] 5: x: y").lines.size(), 1u);
    EXPECT_TRUE(read("").lines.empty());
}

}  // namespace
}  // namespace ipidefer::trace
