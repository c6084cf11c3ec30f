// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/kvm/src/ports.hpp"

#include <gtest/gtest.h>

namespace ipidefer::vmm {
namespace {

class PortsTest : public testing::Test {
  protected:
    Ending ending;
    unsigned snapshots = 0;
    Ports ports{ending, [this] {
                    ++snapshots;
                    return Mark{};
                }};
};

TEST_F(PortsTest, ConsoleTakesBytesOfAnyAccess)
{
    ports.write(kPortConsole, 1, 'a');
    ports.write(kPortConsole, 4, 0x6564'6362);
    EXPECT_EQ(ports.take_console(), "abcde");
    EXPECT_EQ(ports.take_console(), "");
}

TEST_F(PortsTest, ConsoleOfAChattyGuestIsCut)
{
    for (std::size_t i = 0; i < Ports::kMostConsole / 4 + 10; ++i) {
        ports.write(kPortConsole, 4, 0x2020'2020);
        // Taking it does not make room: the limit is for the whole run.
        if (i == 100) {
            EXPECT_EQ(ports.take_console().size(), 404u);
        }
    }
    EXPECT_EQ(ports.take_console().size(), Ports::kMostConsole - 404);
    EXPECT_EQ(ports.console_lost(), 40u);
}

TEST_F(PortsTest, MarksAreLimited)
{
    for (unsigned i = 0; i < Ports::kMostMarks + 3; ++i)
        ports.write(kPortMark, 4, i);
    EXPECT_EQ(ports.marks().size(), Ports::kMostMarks);
    EXPECT_EQ(ports.marks()[7].value, 7u);
    EXPECT_EQ(ports.marks_lost(), 3u);
}

TEST_F(PortsTest, TheFirstEndCounts)
{
    EXPECT_FALSE(ending.is_set());
    ports.write(kPortExit, 4, 5);
    ports.write(kPortExit, 1, 0);
    ASSERT_TRUE(ending.is_set());
    EXPECT_EQ(ending.outcome()->kind, Outcome::Kind::kExit);
    EXPECT_EQ(ending.outcome()->status, 5u);
}

TEST_F(PortsTest, OtherPortsAreNotThere)
{
    ports.write(0x80, 4, 1);
    EXPECT_FALSE(ending.is_set());
    EXPECT_EQ(ports.take_console(), "");
    EXPECT_EQ(Ports::read(0x80), 0xffff'ffffu);
    EXPECT_EQ(Ports::read(kPortConsole), 0xe9u);
}

}  // namespace
}  // namespace ipidefer::vmm
