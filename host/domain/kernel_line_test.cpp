// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/domain/kernel_line.hpp"

#include <gtest/gtest.h>

namespace ipidefer::domain {
namespace {

TEST(KernelLine, LastOneOfANameWins)
{
    const char* line = "quiet nohz_full=1 ipi_defer=off  nohz_full=2-3\n";
    EXPECT_EQ(kernel_parameter(line, "nohz_full"), "2-3");
    EXPECT_EQ(kernel_parameter(line, "quiet"), "");
    EXPECT_EQ(kernel_parameter(line, "nohz"), std::nullopt);
    EXPECT_EQ(kernel_cpus(line, "nohz_full", 4), (CpuSet{2, 3}));
}

TEST(KernelLine, QuotesHoldTogetherAndDashesAreUnderscores)
{
    const char* line = "dyndbg=\"file a nohz_full=1\" nohz-full=2 \"x=y z\"";
    EXPECT_EQ(kernel_parameter(line, "nohz_full"), "2");
    EXPECT_EQ(kernel_parameter(line, "dyndbg"), "file a nohz_full=1");
    EXPECT_EQ(kernel_parameter(line, "x"), "y z");
}

TEST(KernelLine, WhatIsForInitIsNotTheKernels)
{
    EXPECT_EQ(kernel_parameter("a -- nohz_full=1", "nohz_full"), std::nullopt);
    EXPECT_EQ(with_parameters("a -- b", {"c", "d=1"}), "a c d=1 -- b");
    EXPECT_EQ(with_parameters("-- b", {"c"}), "c -- b");
    EXPECT_EQ(with_parameters(" a \n", {"c"}), " a c \n");
    EXPECT_EQ(with_parameters("", {"c", "d"}), "c d");
    EXPECT_EQ(with_parameters("a \"b -- x", {"c"}), "a c \"b -- x");
    EXPECT_EQ(with_parameters("\"b", {"c"}), "c \"b");
    EXPECT_EQ(with_parameters("a -- \"b", {"c"}), "a c -- \"b");
}

TEST(KernelLine, FlagsBeforeCpusAreSkipped)
{
    EXPECT_EQ(kernel_cpus("isolcpus=domain,managed_irq,2-3,5", "isolcpus", 8),
              (CpuSet{2, 3, 5}));
    EXPECT_EQ(kernel_cpus("isolcpus=2", "isolcpus", 4), CpuSet{2});
    EXPECT_EQ(kernel_cpus("isolcpus=domain", "isolcpus", 4), std::nullopt);
    EXPECT_EQ(kernel_cpus("", "nohz_full", 4), std::nullopt);
}

TEST(KernelLine, ListsAreReadAsTheKernelDoes)
{
    EXPECT_EQ(kernel_cpus("nohz_full=1-N", "nohz_full", 4), (CpuSet{1, 2, 3}));
    EXPECT_EQ(kernel_cpus("nohz_full=all", "nohz_full", 3), (CpuSet{0, 1, 2}));
    EXPECT_EQ(kernel_cpus("nohz_full=\"1, 3\"", "nohz_full", 4),
              (CpuSet{1, 3}));
    // Behind a CPU, "all" is one; before it, isolcpus= takes it for a flag.
    EXPECT_EQ(kernel_cpus("isolcpus=0,all", "isolcpus", 2), (CpuSet{0, 1}));
    EXPECT_EQ(kernel_cpus("isolcpus=all", "isolcpus", 2), std::nullopt);
    EXPECT_EQ(kernel_cpus("isolcpus=domain,1-N", "isolcpus", 4),
              (CpuSet{1, 2, 3}));
    // A CPU that is not there spoils the whole.
    EXPECT_EQ(kernel_cpus("nohz_full=2-9", "nohz_full", 4), std::nullopt);
}

TEST(KernelLine, AllOfANameAreTakenOut)
{
    EXPECT_EQ(without_parameter("a x=1 b x=2", "x"), "a b");
    EXPECT_EQ(without_parameter("x=1 b -- x=2", "x"), "b -- x=2");
    EXPECT_EQ(without_parameter("a b", "x"), "a b");
}

}  // namespace
}  // namespace ipidefer::domain
