// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/core/src/destination.hpp"

#include <gtest/gtest.h>

#include "vmm/core/src/icr.hpp"

namespace ipidefer {
namespace {

constexpr ipidefer_apic kX2apic{0x123, 0x0012'0008, 0, true, true};

TEST(Destination, SelfNamesTheSenderWhateverTheDestinationSays)
{
    const ipidefer_icr icr = decode_icr_x2apic(0x0000'0123'0004'00f1);
    EXPECT_TRUE(names(icr, kX2apic, true));
    EXPECT_FALSE(names(icr, kX2apic, false));
}

TEST(Destination, AllNamesEverybody)
{
    const ipidefer_icr icr = decode_icr_x2apic(0x0008'00f1);
    EXPECT_TRUE(names(icr, kX2apic, true));
    EXPECT_TRUE(names(icr, kX2apic, false));
}

TEST(Destination, AllButSelfLeavesOutTheSender)
{
    const ipidefer_icr icr = decode_icr_x2apic(0x000c'00f1);
    EXPECT_FALSE(names(icr, kX2apic, true));
    EXPECT_TRUE(names(icr, kX2apic, false));
}

TEST(Destination, DisabledApicIsNeverNamed)
{
    ipidefer_apic apic = kX2apic;
    apic.enabled = false;
    EXPECT_FALSE(names(decode_icr_x2apic(0x0008'00f1), apic, false));
    EXPECT_FALSE(names(decode_icr_x2apic(0xffff'ffff'0000'00f1), apic, false));
    EXPECT_FALSE(names(decode_icr_x2apic(0x0000'0123'0000'00f1), apic, false));
}

TEST(Destination, X2apicPhysicalFfIsAnOrdinaryId)
{
    const ipidefer_icr icr = decode_icr_x2apic(0x0000'00ff'0000'00f1);
    EXPECT_FALSE(names(icr, kX2apic, false));
    EXPECT_TRUE(names(icr, {0xff, 0, 0, true, true}, false));
}

TEST(Destination, XapicBroadcastReachesATargetInX2apicMode)
{
    EXPECT_TRUE(names(decode_icr_xapic(0xf1, 0xff00'0000), kX2apic, false));
}

TEST(Destination, X2apicIdDoesNotAliasAnXapicIdWithTheSameLowByte)
{
    const ipidefer_apic xapic{0x23, 0, 0xffff'ffff, false, true};
    EXPECT_FALSE(names(decode_icr_x2apic(0x0000'0123'0000'00f1), xapic, false));
}

TEST(Destination, ReservedDestinationFormatMatchesNothing)
{
    const ipidefer_apic xapic{0, 0x0100'0000, 0x7fff'ffff, false, true};
    EXPECT_FALSE(names(decode_icr_xapic(0x8f1, 0x0100'0000), xapic, false));
}

TEST(Destination, WideLogicalDestinationDoesNotNameAnXapic)
{
    const ipidefer_apic xapic{0, 0x0100'0000, 0xffff'ffff, false, true};
    EXPECT_FALSE(names(decode_icr_x2apic(0x0001'0001'0000'08f1), xapic, false));
}

}  // namespace
}  // namespace ipidefer
