// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/domain/emulator.hpp"

#include <gtest/gtest.h>

namespace ipidefer::domain {
namespace {

TEST(Emulator, PropertiesAreThoseOfItsHelp)
{
    const auto emulator =
        read_object_help(0,
                         "ipi-defer options:\n"
                         "  enabled=<bool>         - record IPIs at all\n"
                         "  isolated-cpus=<int>    - vCPUs whose IPIs may be "
                         "recorded, as in 2-3\n"
                         "  segment=<bool>\n");
    EXPECT_TRUE(emulator.knows_object);
    EXPECT_EQ(emulator.properties,
              (std::set<std::string>{"enabled", "isolated-cpus", "segment"}));
}

TEST(Emulator, WithoutTheObjectItSaysWhy)
{
    const auto emulator = read_object_help(
        1,
        "qemu: -object ipi-defer,help: Parameter 'qom-type' does not accept "
        "value 'ipi-defer'\n");
    EXPECT_TRUE(emulator.runs);
    EXPECT_FALSE(emulator.knows_object);
    EXPECT_NE(emulator.complaint.find("does not accept"), std::string::npos);
    // Something that is no QEMU.
    EXPECT_FALSE(read_object_help(0, "hello\n").knows_object);
    EXPECT_FALSE(read_object_help(0, "").knows_object);
}

}  // namespace
}  // namespace ipidefer::domain
