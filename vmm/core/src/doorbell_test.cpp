// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/core/src/doorbell.hpp"

#include <gtest/gtest.h>

#include <cstring>

namespace ipidefer {
namespace {

constexpr std::uint32_t kIds = IPI_DEFER_MULTI_IDS;

ipidefer_error ring(std::uint64_t value)
{
    ipidefer_icr icr{};
    return decode_doorbell(value, icr, nullptr);
}

ipi_defer_multi request(std::uint32_t base, std::uint32_t bit)
{
    ipi_defer_multi r{};
    r.vector = 0xf5;
    r.base = base;
    r.mask[bit / 64] = std::uint64_t{1} << bit % 64;
    return r;
}

ipidefer_error decode(const ipi_defer_multi& r, ipidefer_multi& out,
                      ipidefer_fault* fault = nullptr)
{
    return decode_multi(&r, sizeof r, out, fault);
}

TEST(Doorbell, PhysicalUnicastIsTaken)
{
    ipidefer_icr icr{};
    ASSERT_EQ(decode_doorbell(0x0001'0003'0000'00f5, icr, nullptr),
              IPIDEFER_OK);
    EXPECT_TRUE(icr.deferrable);
    EXPECT_TRUE(icr.x2apic);
    EXPECT_EQ(icr.vector, 0xf5);
    EXPECT_EQ(icr.dest, 0x1'0003u);
    EXPECT_EQ(icr.shorthand, IPIDEFER_NO_SHORTHAND);
}

TEST(Doorbell, LevelBitIsIgnored)
{
    EXPECT_EQ(ring(0x0000'0003'0000'40f5), IPIDEFER_OK);
}

TEST(Doorbell, LogicalDestinationIsRefused)
{
    EXPECT_EQ(ring(0x0000'0003'0000'08f5), IPIDEFER_E_LOGICAL);
}

// I3: what is no fixed IPI goes through the ICR, or not at all.
TEST(Doorbell, NmiIsRefused)
{
    EXPECT_EQ(ring(0x0000'0003'0000'04f5), IPIDEFER_E_DELIVERY);
}

TEST(Doorbell, LevelTriggerIsRefused)
{
    EXPECT_EQ(ring(0x0000'0003'0000'80f5), IPIDEFER_E_DELIVERY);
}

TEST(Doorbell, VectorsThatCannotBeBoundAreRefused)
{
    EXPECT_EQ(ring(0x1f), IPIDEFER_E_BELL_VECTOR);
    EXPECT_EQ(ring(0x20), IPIDEFER_OK);
    EXPECT_EQ(ring(0xfe), IPIDEFER_OK);
    EXPECT_EQ(ring(0xff), IPIDEFER_E_BELL_VECTOR);
}

TEST(Doorbell, RefusedValueIsNamedAndLeavesTheResultAlone)
{
    ipidefer_icr icr{};
    icr.dest = 0x5a5a;
    ipidefer_fault fault{};
    EXPECT_EQ(decode_doorbell(0x0000'0003'0010'00f5, icr, &fault),
              IPIDEFER_E_BELL_RESERVED);
    EXPECT_EQ(fault.error, IPIDEFER_E_BELL_RESERVED);
    EXPECT_EQ(fault.value, 0x0010'0000u);
    EXPECT_EQ(icr.dest, 0x5a5au);
}

TEST(Doorbell, MultiAddressMustBeAligned)
{
    ipidefer_fault fault{};
    EXPECT_EQ(check_multi_address(0, nullptr), IPIDEFER_OK);
    EXPECT_EQ(check_multi_address(0xffff'ffff'ffff'ffc0, nullptr), IPIDEFER_OK);
    EXPECT_EQ(check_multi_address(0x1020, &fault), IPIDEFER_E_MULTI_ALIGNMENT);
    EXPECT_EQ(fault.value, 0x1020u);
    EXPECT_EQ(fault.limit, 64u);
}

TEST(Doorbell, MultiIsDecodedFieldByField)
{
    const ipi_defer_multi r{
        0x21, 0x1234'5678, {1, 2, 4, 8, 16, 32, 0x8000'0000'0000'0001}};
    ipidefer_multi out{};
    ASSERT_EQ(decode(r, out), IPIDEFER_OK);
    EXPECT_EQ(out.vector, 0x21);
    EXPECT_EQ(out.base, 0x1234'5678u);
    EXPECT_FALSE(out.empty);
    EXPECT_EQ(out.last, 447u);
    EXPECT_EQ(std::memcmp(out.mask, r.mask, sizeof out.mask), 0);
}

TEST(Doorbell, EmptyMaskNamesNobody)
{
    ipi_defer_multi r{};
    r.vector = 0x20;
    r.base = 7;
    ipidefer_multi out{};
    ASSERT_EQ(decode(r, out), IPIDEFER_OK);
    EXPECT_TRUE(out.empty);
    EXPECT_FALSE(names(out, 7));
    EXPECT_FALSE(names(out, 0));
}

TEST(Doorbell, ZeroedMemoryIsRefused)
{
    ipidefer_multi out{};
    EXPECT_EQ(decode(ipi_defer_multi{}, out), IPIDEFER_E_BELL_VECTOR);
}

TEST(Doorbell, MultiVectorIsTheWholeField)
{
    ipi_defer_multi r = request(0, 3);
    r.vector = 0x1f5;
    ipidefer_multi out{};
    ipidefer_fault fault{};
    EXPECT_EQ(decode(r, out, &fault), IPIDEFER_E_BELL_VECTOR);
    EXPECT_EQ(fault.value, 0x1f5u);
}

TEST(Doorbell, ShortRequestIsRefusedAndNotRead)
{
    ipidefer_multi out{};
    ipidefer_fault fault{};
    EXPECT_EQ(decode_multi(nullptr, 0, out, &fault), IPIDEFER_E_MULTI_SIZE);
    const ipi_defer_multi r = request(0, 0);
    EXPECT_EQ(decode_multi(&r, sizeof r - 1, out, &fault),
              IPIDEFER_E_MULTI_SIZE);
    EXPECT_EQ(fault.value, 63u);
    EXPECT_EQ(fault.limit, 64u);
}

TEST(Doorbell, MultiIdsStopBelowTheBroadcastId)
{
    ipidefer_multi out{};
    EXPECT_EQ(decode(request(0xffff'fffe, 0), out), IPIDEFER_OK);
    EXPECT_EQ(decode(request(0xffff'ffff, 0), out), IPIDEFER_E_MULTI_ID);
    EXPECT_EQ(decode(request(0xffff'fffe, 1), out), IPIDEFER_E_MULTI_ID);
    EXPECT_EQ(decode(request(0xffff'fffe - (kIds - 1), kIds - 1), out),
              IPIDEFER_OK);
    EXPECT_EQ(decode(request(0xffff'ffff - (kIds - 1), kIds - 1), out),
              IPIDEFER_E_MULTI_ID);
}

TEST(Doorbell, RefusedMultiLeavesTheResultAlone)
{
    ipidefer_multi out{};
    out.base = 0x77;
    EXPECT_EQ(decode(request(0xffff'ffff, 0), out), IPIDEFER_E_MULTI_ID);
    EXPECT_EQ(out.base, 0x77u);
    EXPECT_EQ(out.vector, 0);
}

}  // namespace
}  // namespace ipidefer
