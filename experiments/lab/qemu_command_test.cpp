// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/qemu_command.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace ipidefer::lab {
namespace {

Options options()
{
    Options given;
    given.cpus = 6;
    given.isolated = {2, 3, 5};
    given.housekeeping = {0, 1, 4};
    given.memory = "512M";
    given.kernel = "/k/bzImage";
    given.name = "lab-1";
    return given;
}

std::string value_of(const std::vector<std::string>& arguments,
                     const std::string& option)
{
    const auto found = std::ranges::find(arguments, option);
    return found == arguments.end() ? "(none)" : *(found + 1);
}

TEST(KernelCommandLine, NamesModeAndCpus)
{
    EXPECT_EQ(kernel_command_line(options(), Mode::kHv),
              "console=ttyS0 rdinit=/lab/agent nohz_full=2-3,5 "
              "isolcpus=managed_irq,domain,2-3,5 rcu_nocbs=2-3,5 "
              "irqaffinity=0-1,4 tsc=reliable ipi_defer_small_pages "
              "ipi_defer_stats panic=-1 "
              "ipi_defer=hv");
}

TEST(KernelCommandLine, WhatIsAppendedComesLastAndThusWins)
{
    Options given = options();
    given.append = "quiet";
    EXPECT_TRUE(kernel_command_line(given, Mode::kOff).ends_with(" quiet"));
}

TEST(QemuArguments, ObjectGetsOneKeyForEachRange)
{
    const auto arguments =
        qemu_arguments(options(), Mode::kOff, IpiDefer::kObject, "/i", "/s");
    EXPECT_EQ(value_of(arguments, "-object"),
              "ipi-defer,id=defer0,isolated-cpus=2-3,isolated-cpus=5");
}

TEST(QemuArguments, SegmentHasTheNameOfTheRun)
{
    Options given = options();
    given.name = "a,b";
    given.shm_folder = "/x,y";
    const auto arguments =
        qemu_arguments(given, Mode::kHv, IpiDefer::kSegment, "/i", "/s");
    EXPECT_EQ(value_of(arguments, "-name"), "guest=a,,b");
    EXPECT_EQ(value_of(arguments, "-object"),
              "ipi-defer,id=defer0,isolated-cpus=2-3,isolated-cpus=5,"
              "segment=on,segment-dir=/x,,y");
}

TEST(QemuArguments, ModesDifferInTheGuestOnly)
{
    auto off =
        qemu_arguments(options(), Mode::kOff, IpiDefer::kSegment, "/i", "/s");
    auto hv =
        qemu_arguments(options(), Mode::kHv, IpiDefer::kSegment, "/i", "/s");
    EXPECT_NE(off.back(), hv.back());
    off.pop_back();
    hv.pop_back();
    EXPECT_EQ(off, hv);
}

// Where the host's KVM could decide, the column says who does.
TEST(QemuArguments, WhoDecidesIsSaid)
{
    const auto object_of = [](Mode mode, IpiDefer ipi_defer) {
        return value_of(qemu_arguments(options(), mode, ipi_defer, "/i", "/s"),
                        "-object");
    };
    const std::string cpus =
        "ipi-defer,id=defer0,isolated-cpus=2-3,isolated-cpus=5";
    EXPECT_EQ(object_of(Mode::kHv, IpiDefer::kInKernel),
              cpus + ",in-kernel=off,segment=on");
    EXPECT_EQ(object_of(Mode::kOff, IpiDefer::kInKernel),
              cpus + ",in-kernel=off,segment=on");
    EXPECT_EQ(object_of(Mode::kKvm, IpiDefer::kInKernel),
              cpus + ",in-kernel=on,segment=on");
    // A QEMU that does not know it says so.
    EXPECT_EQ(object_of(Mode::kKvm, IpiDefer::kSegment),
              cpus + ",in-kernel=on,segment=on");
}

TEST(KernelCommandLine, GuestCannotTellWhoDecides)
{
    EXPECT_EQ(kernel_command_line(options(), Mode::kKvm),
              kernel_command_line(options(), Mode::kHv));
}

TEST(QemuArguments, QemuWithoutTheObjectIsNotAskedForIt)
{
    const auto arguments =
        qemu_arguments(options(), Mode::kHv, IpiDefer::kNone, "/i", "/s");
    EXPECT_EQ(value_of(arguments, "-object"), "(none)");
}

TEST(QemuArguments, KvmHasTheObjectTooAndTheHostsCpu)
{
    Options given = options();
    given.accel = Accel::kKvm;
    const auto arguments =
        qemu_arguments(given, Mode::kHv, IpiDefer::kObject, "/i", "/s");
    EXPECT_TRUE(value_of(arguments, "-object").starts_with("ipi-defer,"));
    EXPECT_EQ(value_of(arguments, "-accel"), "kvm,kernel-irqchip=on");
    EXPECT_EQ(value_of(arguments, "-cpu"), "host");
}

TEST(QemuArguments, CommasInPathsAreDoubled)
{
    const auto arguments =
        qemu_arguments(options(), Mode::kOff, IpiDefer::kNone, "/i", "/a,b");
    EXPECT_EQ(value_of(arguments, "-chardev"),
              "socket,id=console,path=/a,,b/console.sock,server=off");
}

TEST(ShellQuoted, OnlyWhatNeedsItIsQuoted)
{
    EXPECT_EQ(shell_quoted({"qemu", "-append", "a=b c", "it's", ""}),
              "qemu -append 'a=b c' 'it'\\''s' ''");
}

TEST(QemuArguments, NestedGuestsNeedVirtualization)
{
    Options given = options();
    const auto cpu = [&] {
        return value_of(
            qemu_arguments(given, Mode::kHv, IpiDefer::kObject, "/i", "/s"),
            "-cpu");
    };
    EXPECT_EQ(cpu(), "max");
    given.nested = true;
    EXPECT_EQ(cpu(), "max,+svm");
}

}  // namespace
}  // namespace ipidefer::lab
