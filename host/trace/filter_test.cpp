// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/trace/filter.hpp"

#include <gtest/gtest.h>
#include <ipidefer/ipidefer.h>

namespace ipidefer::trace {
namespace {

constexpr std::uint32_t kVcpus = 8;

Event verdict_on(std::uint8_t verdict, std::uint32_t cpu = 2)
{
    Event event;
    event.entry.kind = IPIDEFER_TRACE_VERDICT;
    event.entry.cpu = cpu;
    event.entry.vector = 0xf5;
    event.entry.verdict = verdict;
    event.entry.context = IPIDEFER_TRACE_USER;
    event.mask = {0};
    return event;
}

bool matches(std::string_view text, const Event& event)
{
    return Filter(text, kVcpus).matches(event);
}

/// "COLUMN: why"
std::string refusal(std::string_view text)
{
    try {
        const Filter filter{text, kVcpus};
    } catch (const FilterError& error) {
        return std::to_string(error.column()) + ": " + error.what();
    }
    return "";
}

TEST(Filter, TheSeedsFiltersWork)
{
    Event send;
    send.entry.kind = IPIDEFER_TRACE_SEND;
    send.mask = {0xc};
    EXPECT_TRUE(matches("cpumask & CPUS{2-3}", send));
    EXPECT_TRUE(matches("cpumask & CPUS{2-3,6}", send));
    EXPECT_FALSE(matches("cpumask & CPUS{0-1}", send));
    EXPECT_TRUE(matches("verdict == delivered && cpu & CPUS{2}",
                        verdict_on(IPIDEFER_DELIVERED_POLICY)));
    EXPECT_FALSE(matches("verdict == delivered && cpu & CPUS{2}",
                         verdict_on(IPIDEFER_DEFERRED)));
}

TEST(Filter, StringsAreWordsOrQuoted)
{
    const Event event = verdict_on(IPIDEFER_DELIVERED_IN_KERNEL);
    EXPECT_TRUE(matches("reason == in-kernel", event));
    EXPECT_TRUE(matches("reason=='in-kernel'", event));
    EXPECT_TRUE(matches("reason == \"in-kernel\"", event));
    EXPECT_FALSE(matches("reason != in-kernel", event));
    EXPECT_TRUE(matches("reason ~ \"in*\" && context ~ '[tu]ser'", event));
    EXPECT_TRUE(matches("reason ~ *kernel", event));
    EXPECT_TRUE(matches("reason == \"\"", verdict_on(IPIDEFER_DEFERRED)));
}

TEST(Filter, NumbersAreDecimalOctalOrHexadecimal)
{
    const Event event = verdict_on(IPIDEFER_DEFERRED);
    EXPECT_TRUE(matches("vector == 0xf5", event));
    EXPECT_TRUE(matches("vector == 0XF5", event));
    EXPECT_TRUE(matches("vector == 245", event));
    EXPECT_TRUE(matches("vector == 0365", event));
}

TEST(Filter, AndBindsTighterThanOr)
{
    const Event event = verdict_on(IPIDEFER_DEFERRED);
    EXPECT_TRUE(matches("vector == 0xf5 || cpu == 9 && cpu == 8", event));
    EXPECT_FALSE(matches("(vector == 0xf5 || cpu == 9) && cpu == 8", event));
    EXPECT_TRUE(matches("!(cpu == 9) && !!cpu == 2", event));
}

TEST(Filter, KindsAreThoseWithEveryField)
{
    const auto kinds = [](std::string_view text) {
        return Filter(text, kVcpus).kinds();
    };
    EXPECT_EQ(kinds("vector == 1"), std::uint32_t{IPIDEFER_TRACE_ALL});
    EXPECT_EQ(kinds("cpumask & CPUS{1}"), std::uint32_t{IPIDEFER_TRACE_SEND});
    EXPECT_EQ(kinds("cpu == 1 && vector == 1"),
              std::uint32_t{IPIDEFER_TRACE_VERDICT});
    EXPECT_EQ(kinds("cpu == 1 || cpumask & CPUS{1}"), 0u);
}

TEST(Filter, ErrorsPointAtTheColumn)
{
    EXPECT_EQ(refusal(""), "0: a field is missing");
    EXPECT_EQ(refusal("foo == 1"), "0: there is no field 'foo'");
    EXPECT_EQ(refusal("cpu == 1 && bar == 1"), "12: there is no field 'bar'");
    EXPECT_EQ(refusal("cpu"), "3: expected one of == != < <= > >= & ~");
    EXPECT_EQ(refusal("cpu = 1"), "4: expected one of == != < <= > >= & ~");
    EXPECT_EQ(refusal("cpu && 1"), "4: expected one of == != < <= > >= & ~");
    EXPECT_EQ(refusal("cpu == "), "7: a value is missing");
    EXPECT_EQ(refusal("cpu == x"), "7: expected a number");
    EXPECT_EQ(refusal("cpu == -1"),
              "7: expected a number that is not negative");
    EXPECT_EQ(refusal("cpu == 18446744073709551616"),
              "7: the number is larger than 18446744073709551615");
    EXPECT_EQ(refusal("cpu == 0x10000000000000000"),
              "7: the number is larger than 18446744073709551615");
    EXPECT_EQ(refusal("cpu == 08"), "7: expected a number");
    EXPECT_EQ(refusal(std::string(65'537, ' ')),
              "65536: a filter has at most 65536 bytes, this one has 65537");
    EXPECT_EQ(refusal("cpu == 1 cpu"), "9: expected &&, || or the end");
    EXPECT_EQ(refusal("cpu == 1 & cpu == 2"), "9: expected &&, || or the end");
    EXPECT_EQ(refusal("cpu == 1)"), "8: too many ')'");
    EXPECT_EQ(refusal("(cpu == 1"), "0: ')' is missing");
    EXPECT_EQ(refusal("(cpu == 1 cpu"), "10: expected &&, || or )");
    EXPECT_EQ(refusal("cpu == 1 &&"), "11: a field is missing");
    EXPECT_EQ(refusal("cpu ~ 1"), "4: this field has no such operator");
    EXPECT_EQ(refusal("verdict < x"), "8: this field has no such operator");
    EXPECT_EQ(refusal("verdict == 'x"), "11: the closing quote is missing");
    EXPECT_EQ(refusal("verdict == &"),
              "11: expected a word or a quoted string");
}

TEST(Filter, CpuTakesNoAndWithANumber)
{
    EXPECT_EQ(refusal("CPU & 2"),
              "6: & with a CPU takes CPUS{...}, not a number");
    EXPECT_EQ(refusal("sender & 2"),
              "9: & with a CPU takes CPUS{...}, not a number");
}

TEST(Filter, CpuListsAreThoseOfTheKernel)
{
    const Event on_7 = verdict_on(IPIDEFER_DEFERRED, 7);
    for (const char* list :
         {"N", "0-N", "all", "ALL", ",1,,7,", " 1\t7 ", "1-N:1/2", "7-N:N/N"})
        EXPECT_TRUE(matches(std::string{"cpu & CPUS{"} + list + '}', on_7))
            << list;
    for (const char* list : {"0-6", "all:1/2", "0", "all:0/2", " "})
        EXPECT_FALSE(matches(std::string{"cpu & CPUS{"} + list + '}', on_7))
            << list;
    // One CPU is what is compared with, however it is written.
    EXPECT_TRUE(matches("cpu == CPUS{N-N}", on_7));
    EXPECT_FALSE(matches("cpu == CPUS{6-7}", on_7));
}

TEST(Filter, CpuListOfNoneEqualsNothing)
{
    const Event on_2 = verdict_on(IPIDEFER_DEFERRED);
    EXPECT_FALSE(matches("cpu == CPUS{,}", on_2));
    EXPECT_TRUE(matches("cpu != CPUS{,}", on_2));
}

TEST(Filter, ErrorsInCpuListsPointAtThem)
{
    EXPECT_EQ(refusal("cpu < CPUS{1}"), "4: this field has no such operator");
    EXPECT_EQ(refusal("cpu & CPUS"), "10: expected '{' after CPUS");
    EXPECT_EQ(refusal("cpu & CPUS{1"), "10: '}' is missing");
    EXPECT_EQ(refusal("cpu & CPUS{}"), "11: a list of CPUs is missing");
    // Of our own options' lists, not of the kernel's.
    EXPECT_EQ(refusal("cpu & CPUS{0-3,^1}"),
              "11: CPU list '0-3,^1': no number at '^1'");
    EXPECT_EQ(refusal("cpu & CPUS{7-8}"),
              "11: CPU list '7-8': no CPU 8, the last one is 7");
    EXPECT_EQ(refusal("cpumask == 4"),
              "11: a cpumask is compared with CPUS{...}");
    EXPECT_EQ(refusal("verdict == CPUS{1}"),
              "11: a string has no CPUs to compare");
}

TEST(Filter, ErrorIsShownUnderTheFilter)
{
    try {
        const Filter filter{"cpu == 1 && bar == 1", kVcpus};
        FAIL();
    } catch (const FilterError& error) {
        EXPECT_EQ(error.show("cpu == 1 && bar == 1"),
                  "cpu == 1 && bar == 1\n"
                  "            ^");
        // Who shows both had it twice.
        EXPECT_STREQ(error.what(), "there is no field 'bar'");
    }
}

TEST(Filter, DepthIsLimited)
{
    const auto nested = [](std::size_t depth) {
        return std::string(depth, '(') + "cpu == 2" + std::string(depth, ')');
    };
    EXPECT_TRUE(matches(nested(100), verdict_on(IPIDEFER_DEFERRED)));
    EXPECT_EQ(refusal(nested(101)), "100: too many '('");
    EXPECT_EQ(refusal(std::string(60'000, '(')), "100: too many '('");
    EXPECT_EQ(refusal(std::string(60'000, '!')), "60000: a field is missing");
}

}  // namespace
}  // namespace ipidefer::trace
