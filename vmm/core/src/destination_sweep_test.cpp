// SPDX-License-Identifier: GPL-2.0-or-later
// Destination matching, every destination against every APIC, judged by an
// oracle that works on sets and digits instead of masks.
#include <gtest/gtest.h>

#include "vmm/core/src/destination.hpp"
#include "vmm/core/src/icr.hpp"

namespace ipidefer {
namespace {

constexpr std::uint32_t kPhysical = 0x0f1;
constexpr std::uint32_t kLogical = 0x8f1;
constexpr std::uint32_t kDfrFlat = 0xffff'ffff;
constexpr std::uint32_t kDfrCluster = 0x0fff'ffff;

ipidefer_icr xapic(std::uint32_t low, unsigned dest)
{
    return decode_icr_xapic(low, dest << 24);
}

ipidefer_icr x2apic(std::uint32_t low, std::uint32_t dest)
{
    return decode_icr_x2apic((std::uint64_t{dest} << 32) + low);
}

/// Do two numbers share a binary digit 1 among their lowest `digits`?
bool share_a_digit(unsigned a, unsigned b, unsigned digits)
{
    for (; digits > 0; --digits, a /= 2, b /= 2)
        if (a % 2 == 1 && b % 2 == 1) return true;
    return false;
}

TEST(DestinationSweep, XapicPhysicalNamesTheIdOrEverybody)
{
    for (unsigned dest = 0; dest < 256; ++dest)
        for (unsigned id = 0; id < 256; ++id) {
            const ipidefer_apic apic{id, 0xff00'0000, kDfrFlat, false, true};
            ASSERT_EQ(names(xapic(kPhysical, dest), apic, false),
                      dest == id || dest == 255)
                << dest << " to " << id;
        }
}

TEST(DestinationSweep, XapicFlatNamesTheMembersOrEverybody)
{
    for (unsigned dest = 0; dest < 256; ++dest)
        for (unsigned ldr = 0; ldr < 256; ++ldr) {
            const ipidefer_apic apic{dest, ldr << 24, kDfrFlat, false, true};
            ASSERT_EQ(names(xapic(kLogical, dest), apic, false),
                      share_a_digit(dest, ldr, 8) || dest == 255)
                << dest << " to " << ldr;
        }
}

TEST(DestinationSweep, XapicClusterNamesTheMembersOrEverybody)
{
    for (unsigned dest = 0; dest < 256; ++dest)
        for (unsigned ldr = 0; ldr < 256; ++ldr) {
            const ipidefer_apic apic{dest, ldr << 24, kDfrCluster, false, true};
            const bool expected =
                dest / 16 == ldr / 16 && share_a_digit(dest, ldr, 4);
            ASSERT_EQ(names(xapic(kLogical, dest), apic, false),
                      expected || dest == 255)
                << dest << " to " << ldr;
        }
}

constexpr std::uint32_t kWideIds[] = {
    0,     1,     0x0f,   0x10,     0xfe,        0xff,
    0x100, 0x1ff, 0xffff, 0xf'fff0, 0xffff'fffe, 0x8000'0000};

TEST(DestinationSweep, X2apicPhysicalNamesTheIdOrEverybody)
{
    for (const std::uint32_t id : kWideIds) {
        const ipidefer_apic apic{id, 0, 0, true, true};
        for (std::uint32_t dest = 0; dest < 0x2'0000; ++dest)
            ASSERT_EQ(names(x2apic(kPhysical, dest), apic, false), dest == id);
        for (const std::uint32_t dest : kWideIds)
            ASSERT_EQ(names(x2apic(kPhysical, dest), apic, false), dest == id);
        ASSERT_TRUE(names(x2apic(kPhysical, 0xffff'ffff), apic, false));
    }
}

constexpr unsigned kClusters[] = {0, 1, 2, 15, 16, 0x7ff, 0xffff};

// An x2APIC's logical ID follows from its ID: cluster id / 16, member id % 16.
TEST(DestinationSweep, X2apicLogicalNamesTheMembersOfTheCluster)
{
    for (const unsigned cluster : kClusters)
        for (unsigned member = 0; member < 16; ++member) {
            const std::uint32_t id = cluster * 16 + member;
            const std::uint32_t ldr = cluster * 65'536 + (1u << member);
            const ipidefer_apic apic{id, ldr, 0, true, true};
            for (const unsigned to : kClusters)
                for (unsigned members = 0; members < 65'536; ++members) {
                    const bool expected =
                        to == cluster && (members >> member) % 2 == 1;
                    const bool broadcast = to == 65'535 && members == 65'535;
                    ASSERT_EQ(names(x2apic(kLogical, to * 65'536 + members),
                                    apic, false),
                              expected || broadcast)
                        << to << ":" << members << " to " << id;
                }
        }
}

TEST(DestinationSweep, ShorthandsIgnoreEveryDestination)
{
    for (unsigned dest = 0; dest < 256; ++dest)
        for (const std::uint32_t mode : {kPhysical, kLogical})
            for (const bool is_self : {false, true}) {
                const ipidefer_apic apic{7, 0, kDfrFlat, false, true};
                ASSERT_EQ(names(xapic(mode + 0x4'0000, dest), apic, is_self),
                          is_self);
                ASSERT_TRUE(names(xapic(mode + 0x8'0000, dest), apic, is_self));
                ASSERT_EQ(names(xapic(mode + 0xc'0000, dest), apic, is_self),
                          !is_self);
            }
}

}  // namespace
}  // namespace ipidefer
