// SPDX-License-Identifier: GPL-2.0-or-later
#include "guest_trace.hpp"

#include <gtest/gtest.h>

#include <sstream>

#include "failure.hpp"

namespace ipidefer::trace {
namespace {

std::vector<GuestLine> read(const std::string& text)
{
    std::istringstream in{text};
    return read_guest_trace(in);
}

TEST(GuestTrace, LinesOfFtraceAndOfTraceCmdAreRead)
{
    const auto lines = read(
        "# tracer: nop\n"
        "#\n"
        "            bash-123     [001] d..1. 2000: sched_switch: prev=a b\n"
        "CPU 0 is empty\n"
        "   my [task]-7     [003]  1000: csd_queue_cpu:        cpu=2\n");
    ASSERT_EQ(lines.size(), 2u);
    EXPECT_EQ(lines[1].tsc, 2000u);
    EXPECT_EQ(lines[1].cpu, 1u);
    EXPECT_EQ(lines[1].task, "bash-123");
    EXPECT_EQ(lines[1].event, "sched_switch: prev=a b");
    EXPECT_EQ(lines[0].tsc, 1000u);
}

TEST(GuestTrace, TimesInSecondsAreRefusedWithTheRemedy)
{
    try {
        (void)read("  bash-1  [000] 12.345678: x: y\n");
        FAIL();
    } catch (const Failure& failure) {
        EXPECT_NE(std::string{failure.what()}.find("x86-tsc"),
                  std::string::npos);
    }
}

TEST(GuestTrace, NothingButOtherLinesIsRefused)
{
    for (const char* text :
         {"", "# x\n", "hello\n", " [1] \n", "a [x] 5: y z\n", "a [1] 5:\n",
          "a [1] 99999999999999999999: y z\n"})
        EXPECT_THROW((void)read(text), Failure) << text;
}

}  // namespace
}  // namespace ipidefer::trace
