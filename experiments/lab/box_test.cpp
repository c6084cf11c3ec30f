// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/box.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace ipidefer::lab {
namespace {

BoxSpec spec()
{
    BoxSpec given;
    given.qemu = "/q/qemu-system-x86_64";
    given.kernel = "/k/bzImage";
    given.console = "/c,onsole";
    given.command = {"true"};
    return given;
}

std::vector<std::string> values_of(const BoxSpec& box,
                                   const std::string& option)
{
    const auto arguments = box_arguments(box, "/init", "/job");
    std::vector<std::string> values;
    for (auto found = arguments.begin();; ++found) {
        found = std::find(found, arguments.end(), option);
        if (found == arguments.end()) return values;
        values.push_back(*++found);
    }
}

bool has(const std::vector<std::string>& values, const std::string& value)
{
    return std::ranges::find(values, value) != values.end();
}

TEST(Box, ThisMachinesFilesCannotBeWritten)
{
    EXPECT_EQ(values_of(spec(), "-fsdev"),
              (std::vector<std::string>{
                  "local,id=host,path=/,security_model=none,readonly=on,"
                  "multidevs=remap",
                  "local,id=job,path=/job,security_model=none"}));
}

TEST(Box, SharedFoldersCan)
{
    BoxSpec given = spec();
    given.shares = {"/a,b", "/c"};
    const auto folders = values_of(given, "-fsdev");
    ASSERT_EQ(folders.size(), 4u);
    EXPECT_EQ(folders[2],
              "local,id=share0,path=/a,,b,security_model=none,"
              "multidevs=remap");
    EXPECT_TRUE(has(values_of(given, "-device"),
                    "virtio-9p-pci,fsdev=share1,mount_tag=share1"));
}

TEST(Box, HasAnEmulatedSvm)
{
    EXPECT_EQ(values_of(spec(), "-accel"),
              std::vector<std::string>{"tcg,thread=multi"});
    EXPECT_EQ(values_of(spec(), "-cpu"), std::vector<std::string>{"max,+svm"});
}

TEST(Box, CommandHasAPortForEachOutputAndAShellATerminal)
{
    EXPECT_TRUE(has(values_of(spec(), "-device"),
                    "virtserialport,name=errors,chardev=errors"));
    BoxSpec given = spec();
    given.command.clear();
    EXPECT_TRUE(
        has(values_of(given, "-device"), "virtconsole,chardev=terminal"));
    EXPECT_FALSE(has(values_of(given, "-device"),
                     "virtserialport,name=out,chardev=out"));
}

TEST(Box, NoCpuIsIsolatedUnlessItIsAskedFor)
{
    const std::string plain = box_kernel_command_line(spec(), "/init");
    EXPECT_EQ(plain.find("nohz_full"), std::string::npos);
    EXPECT_NE(plain.find(" init=/init "), std::string::npos);
    BoxSpec given = spec();
    given.isolated = {2, 3};
    given.append = "quiet";
    EXPECT_TRUE(box_kernel_command_line(given, "/init")
                    .ends_with(" nohz_full=2-3 isolcpus=managed_irq,domain,2-3 "
                               "rcu_nocbs=2-3 irqaffinity=0-1 quiet"));
}

}  // namespace
}  // namespace ipidefer::lab
