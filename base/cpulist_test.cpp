// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/cpulist.hpp"

#include <gtest/gtest.h>

#include "base/failure.hpp"
#include "base/failure_testing.hpp"

namespace ipidefer {
namespace {

std::string refusal(std::string_view text, unsigned limit)
{
    return refusal_of([&] { return parse_cpulist(text, limit); });
}

TEST(CpuList, OneCpu) { EXPECT_EQ(parse_cpulist("3", 4), (CpuSet{3})); }

TEST(CpuList, RangesAndSingleCpusInAnyOrder)
{
    EXPECT_EQ(parse_cpulist("6,0-2,2-3", 8), (CpuSet{0, 1, 2, 3, 6}));
}

TEST(CpuList, ExclusionTakesOutWhatCameBefore)
{
    EXPECT_EQ(parse_cpulist("2-5,^3", 8), (CpuSet{2, 4, 5}));
    EXPECT_EQ(parse_cpulist("^3,2-5", 8), (CpuSet{2, 3, 4, 5}));
    EXPECT_EQ(parse_cpulist("0-7,^2-5", 8), (CpuSet{0, 1, 6, 7}));
}

TEST(CpuList, StrideTakesTheFirstOfEachGroup)
{
    EXPECT_EQ(parse_cpulist("0-7:1/2", 8), (CpuSet{0, 2, 4, 6}));
    EXPECT_EQ(parse_cpulist("1-9:2/4", 16), (CpuSet{1, 2, 5, 6, 9}));
}

TEST(CpuList, CpuAtTheLimitIsRefusedWithTheLastOne)
{
    EXPECT_EQ(refusal("2-4", 4), "CPU list '2-4': no CPU 4, the last one is 3");
}

TEST(CpuList, NonsenseIsNamed)
{
    EXPECT_EQ(refusal("", 4), "CPU list '': a number is missing at the end");
    EXPECT_EQ(refusal("1,", 4),
              "CPU list '1,': a number is missing at the end");
    EXPECT_EQ(refusal("x", 4), "CPU list 'x': no number at 'x'");
    EXPECT_EQ(refusal("1 ", 4), "CPU list '1 ': unexpected ' '");
    EXPECT_EQ(refusal("3-1", 4),
              "CPU list '3-1': the range 3-1 runs backwards");
    EXPECT_EQ(refusal("99999999999", 4),
              "CPU list '99999999999': a number is too large at '99999999999'");
    EXPECT_EQ(refusal("0-3:0/2", 4),
              "CPU list '0-3:0/2': a stride uses 1 to 2 CPUs of each group, "
              "not 0");
    EXPECT_EQ(refusal("0-3:1", 4),
              "CPU list '0-3:1': a stride is USED/GROUP, as in 0-7:1/2");
}

TEST(CpuList, NothingLeftIsRefused)
{
    EXPECT_EQ(refusal("1,^1", 4), "CPU list '1,^1': it leaves no CPU");
}

std::string kernel_refusal(std::string_view text, unsigned count)
{
    return refusal_of([&] { return parse_kernel_cpulist(text, count); });
}

TEST(KernelCpuList, AllAndTheLastOneAreTheMachines)
{
    EXPECT_EQ(parse_kernel_cpulist("all", 4), (CpuSet{0, 1, 2, 3}));
    EXPECT_EQ(parse_kernel_cpulist("ALL", 2), (CpuSet{0, 1}));
    EXPECT_EQ(parse_kernel_cpulist("N", 4), (CpuSet{3}));
    EXPECT_EQ(parse_kernel_cpulist("1-N", 4), (CpuSet{1, 2, 3}));
    EXPECT_EQ(parse_kernel_cpulist("all:1/2", 4), (CpuSet{0, 2}));
    EXPECT_EQ(parse_kernel_cpulist("0-N:1/N", 4), (CpuSet{0, 3}));
    EXPECT_NE(kernel_refusal("n", 4), "");
    EXPECT_NE(kernel_refusal("allN", 4), "");
    EXPECT_NE(kernel_refusal("al", 4), "");
}

TEST(KernelCpuList, CommasAndBlanksSeparate)
{
    EXPECT_EQ(parse_kernel_cpulist(" 1,,2 3,\n", 4), (CpuSet{1, 2, 3}));
    EXPECT_EQ(parse_kernel_cpulist("\n", 4), CpuSet{});
    EXPECT_EQ(parse_kernel_cpulist("", 4), CpuSet{});
    EXPECT_NE(kernel_refusal("1 - 3", 4), "");
    EXPECT_NE(kernel_refusal("1-3,^2", 4), "");
}

TEST(KernelCpuList, StrideMayUseNone)
{
    EXPECT_EQ(parse_kernel_cpulist("0-3:0/2", 4), CpuSet{});
    EXPECT_EQ(parse_kernel_cpulist("0-3:2/2", 4), (CpuSet{0, 1, 2, 3}));
    EXPECT_NE(kernel_refusal("0-3:1/0", 4), "");
    EXPECT_NE(kernel_refusal("0-3:3/2", 4), "");
    EXPECT_NE(kernel_refusal("3:1/2", 4), "");
}

TEST(KernelCpuList, CpuBeyondTheMachineMakesTheListWrong)
{
    EXPECT_EQ(kernel_refusal("2-4", 4),
              "CPU list '2-4': no CPU 4, the last one is 3");
}

TEST(LibvirtCpuset, BlanksExclusionsAndManyCpus)
{
    EXPECT_EQ(parse_libvirt_cpuset(" 60, 61,^61 "), CpuSet{60});
    EXPECT_EQ(parse_libvirt_cpuset("0 - 2 ,4,"), (CpuSet{0, 1, 2, 4}));
    EXPECT_EQ(parse_libvirt_cpuset("16383"), CpuSet{16383});
    for (const char* wrong : {"", " ", "16384", ",1", "1,,2", "0-7,^2-5",
                              "^ 1,2", "1,^1", "N", "0-3:1/2", "1 2", "3-1"})
        EXPECT_THROW((void)parse_libvirt_cpuset(wrong), Failure) << wrong;
}

TEST(CpuList, FormatMergesNeighbours)
{
    EXPECT_EQ(format_cpulist({0, 1, 2, 5, 7, 8}), "0-2,5,7-8");
    EXPECT_EQ(format_cpulist({}), "");
}

TEST(CpuList, FormatIsReadBackTheSame)
{
    for (unsigned bits = 1; bits < 256; ++bits) {
        CpuSet cpus;
        for (unsigned cpu = 0; cpu < 8; ++cpu)
            if ((bits >> cpu & 1) != 0) cpus.insert(cpu);
        EXPECT_EQ(parse_cpulist(format_cpulist(cpus), 8), cpus);
    }
}

TEST(CpuList, ComplementIsTheOthers)
{
    EXPECT_EQ(complement({2, 3}, 5), (CpuSet{0, 1, 4}));
}

TEST(CpuList, TwoSetsHaveACommonPartAndARest)
{
    EXPECT_EQ(both({1, 2, 3}, {2, 3, 4}), (CpuSet{2, 3}));
    EXPECT_EQ(without({1, 2, 3}, {2, 3, 4}), (CpuSet{1}));
    EXPECT_TRUE(both({1}, {}).empty());
}

}  // namespace
}  // namespace ipidefer
