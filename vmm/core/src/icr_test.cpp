// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/core/src/icr.hpp"

#include <gtest/gtest.h>

namespace ipidefer {
namespace {

// What Linux writes: it leaves the level bit 0.
TEST(Icr, LinuxFixedX2apicUnicastIsDeferrable)
{
    const ipidefer_icr icr = decode_icr_x2apic(0x0000'0103'0000'00f1);
    EXPECT_TRUE(icr.deferrable);
    EXPECT_EQ(icr.vector, 0xf1);
    EXPECT_EQ(icr.dest, 0x103u);
    EXPECT_FALSE(icr.assert_level);
}

TEST(Icr, LinuxFixedXapicLogicalIsDeferrable)
{
    const ipidefer_icr icr = decode_icr_xapic(0x0000'08f1, 0x0c00'0000);
    EXPECT_TRUE(icr.deferrable);
    EXPECT_TRUE(icr.logical);
    EXPECT_EQ(icr.dest, 0x0cu);
}

// Different bytes everywhere, so that a swapped or short read shows.
TEST(Icr, XapicTakesTheDestinationFromTheTopByteOnly)
{
    EXPECT_EQ(decode_icr_xapic(0x20, 0x1234'5678).dest, 0x12u);
}

TEST(Icr, X2apicTakesAllOfTheHighHalfAsDestination)
{
    EXPECT_EQ(decode_icr_x2apic(0x1234'5678'0000'0020).dest, 0x1234'5678u);
}

TEST(Icr, XapicIgnoresDeliveryStatus)
{
    EXPECT_TRUE(decode_icr_xapic(0x0000'10f1, 0).deferrable);
}

TEST(Icr, X2apicRefusesDeliveryStatus)
{
    EXPECT_FALSE(decode_icr_x2apic(0x0000'10f1).legal);
}

// I3
TEST(Icr, NmiIsLegalAndNeverDeferrable)
{
    const ipidefer_icr icr = decode_icr_x2apic(0x0000'0004'0000'04f1);
    EXPECT_TRUE(icr.legal);
    EXPECT_FALSE(icr.deferrable);
}

TEST(Icr, LowestPriorityIsLegalAndNeverDeferrable)
{
    const ipidefer_icr icr = decode_icr_xapic(0x0000'09f1, 0xff00'0000);
    EXPECT_TRUE(icr.legal);
    EXPECT_FALSE(icr.deferrable);
}

TEST(Icr, LinuxInitAssertIsDecodedAlthoughTheTableCallsLevelInvalid)
{
    const ipidefer_icr icr = decode_icr_xapic(0x0000'c500, 0x0100'0000);
    EXPECT_EQ(icr.delivery, IPIDEFER_INIT);
    EXPECT_TRUE(icr.level_trigger);
    EXPECT_TRUE(icr.assert_level);
    EXPECT_FALSE(icr.legal);
}

TEST(Icr, FixedVectorBelowSixteenIsIllegal)
{
    EXPECT_FALSE(decode_icr_x2apic(0x0f).legal);
    EXPECT_TRUE(decode_icr_x2apic(0x10).legal);
}

}  // namespace
}  // namespace ipidefer
