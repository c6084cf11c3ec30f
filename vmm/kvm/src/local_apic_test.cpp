// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/kvm/src/local_apic.hpp"

#include <gtest/gtest.h>

namespace ipidefer::vmm {
namespace {

constexpr std::uint32_t kBaseMsr = 0xfee0'0000;
constexpr std::uint64_t kX2 = kBaseMsr | 1u << 10 | 1u << 11;
constexpr std::uint64_t kTpr = 0x80, kEoi = 0xb0, kLdr = 0xd0, kDfr = 0xe0,
                        kSvr = 0xf0, kEsr = 0x280, kIcrLow = 0x300,
                        kIcrHigh = 0x310, kTimer = 0x320, kCount = 0x380,
                        kNow = 0x390, kDivide = 0x3e0;

/// Enabled by software, in xAPIC mode.
LocalApic enabled(std::uint32_t id = 0)
{
    LocalApic apic{id, id == 0};
    (void)apic.write_page(kSvr, 0x1ff, 0);
    return apic;
}

LocalApic enabled_x2(std::uint32_t id = 0)
{
    LocalApic apic{id, id == 0};
    EXPECT_TRUE(apic.set_base(kX2));
    EXPECT_TRUE(apic.write_msr(0x80f, 0x1ff, 0));
    return apic;
}

TEST(LocalApic, SoftwareDisabledAfterResetDropsInterrupts)
{
    LocalApic apic{0, true};
    apic.accept(0x80);
    EXPECT_FALSE(apic.deliverable());
    EXPECT_EQ(apic.read_page(kSvr, 0), 0xffu);
}

TEST(LocalApic, HighestVectorIsDeliveredFirst)
{
    auto apic = enabled();
    apic.accept(0x31);
    apic.accept(0xe0);
    apic.accept(0x80);
    EXPECT_EQ(apic.deliverable(), 0xe0);
}

TEST(LocalApic, SameClassWaitsForTheEndOfInterrupt)
{
    auto apic = enabled();
    apic.accept(0x81);
    apic.begin_service(0x81);
    apic.accept(0x8f);
    EXPECT_FALSE(apic.deliverable());
    (void)apic.write_page(kEoi, 0, 0);
    EXPECT_EQ(apic.deliverable(), 0x8f);
}

TEST(LocalApic, HigherClassNestsInALowerOne)
{
    auto apic = enabled();
    apic.accept(0x41);
    apic.begin_service(0x41);
    apic.accept(0x51);
    ASSERT_EQ(apic.deliverable(), 0x51);
    apic.begin_service(0x51);
    apic.end_of_interrupt();
    apic.accept(0x42);
    EXPECT_FALSE(apic.deliverable()) << "0x41 is still in service";
}

TEST(LocalApic, TaskPriorityHoldsBackItsClassAndLower)
{
    auto apic = enabled();
    (void)apic.write_page(kTpr, 0x50, 0);
    apic.accept(0x5f);
    EXPECT_FALSE(apic.deliverable());
    EXPECT_TRUE(apic.held_by_task_priority());
    apic.set_cr8(4);
    EXPECT_EQ(apic.deliverable(), 0x5f);
    EXPECT_FALSE(apic.held_by_task_priority());
}

TEST(LocalApic, Cr8OfTheSameClassKeepsTheSubclassOfTpr)
{
    auto apic = enabled();
    (void)apic.write_page(kTpr, 0x57, 0);
    apic.set_cr8(5);
    EXPECT_EQ(apic.read_page(kTpr, 0), 0x57u);
}

TEST(LocalApic, InServiceIsNotHeldByTaskPriority)
{
    auto apic = enabled();
    apic.accept(0x91);
    apic.begin_service(0x91);
    apic.accept(0x41);
    EXPECT_FALSE(apic.held_by_task_priority());
}

TEST(LocalApic, VectorsBelow16SetTheReceiveError)
{
    auto apic = enabled();
    apic.accept(15);
    EXPECT_FALSE(apic.deliverable());
    EXPECT_EQ(apic.read_page(kEsr, 0), 0u) << "not before it is latched";
    (void)apic.write_page(kEsr, 0, 0);
    EXPECT_EQ(apic.read_page(kEsr, 0), 0x40u);
    (void)apic.write_page(kEsr, 0, 0);
    EXPECT_EQ(apic.read_page(kEsr, 0), 0u);
}

TEST(LocalApic, XapicIcrIsSentByItsLowHalf)
{
    auto apic = enabled();
    EXPECT_FALSE(apic.write_page(kIcrHigh, 0x0500'0000, 0).ipi);
    const auto effect = apic.write_page(kIcrLow, 0x000c'40f5, 0);
    ASSERT_TRUE(effect.ipi);
    EXPECT_EQ(effect.ipi->vector, 0xf5);
    EXPECT_EQ(effect.ipi->dest, 5u);
    EXPECT_EQ(effect.ipi->shorthand, IPIDEFER_ALL_BUT_SELF);
    EXPECT_FALSE(effect.ipi->x2apic);
}

TEST(LocalApic, X2apicIcrIsOneWriteWithAWideDestination)
{
    auto apic = enabled_x2();
    const auto effect = apic.write_msr(0x830, 0x1234'5678'0000'00f5, 0);
    ASSERT_TRUE(effect);
    ASSERT_TRUE(effect->ipi);
    EXPECT_EQ(effect->ipi->dest, 0x1234'5678u);
    EXPECT_EQ(apic.read_msr(0x830, 0), 0x1234'5678'0000'00f5u);
}

TEST(LocalApic, X2apicReservedBitsFaultAndChangeNothing)
{
    auto apic = enabled_x2();
    for (unsigned bit : {12u, 13u, 16u, 17u, 20u, 25u, 31u})
        EXPECT_FALSE(apic.write_msr(0x830, 1ull << bit | 0xf5, 0)) << bit;
    EXPECT_FALSE(apic.write_msr(0x808, 0x100, 0)) << "TPR";
    EXPECT_FALSE(apic.write_msr(0x80b, 1, 0)) << "EOI";
    EXPECT_FALSE(apic.write_msr(0x80f, 1u << 12, 0)) << "SVR";
    EXPECT_FALSE(apic.write_msr(0x828, 1, 0)) << "ESR";
    EXPECT_FALSE(apic.write_msr(0x838, 1ull << 32, 0)) << "upper half";
    EXPECT_EQ(apic.read_msr(0x830, 0), 0u);
    EXPECT_EQ(apic.read_msr(0x80f, 0), 0x1ffu);
}

TEST(LocalApic, X2apicHasNoDfrNoIcrHighAndNoWritableId)
{
    auto apic = enabled_x2();
    for (unsigned msr : {0x80eu, 0x831u, 0x80bu, 0x83fu, 0x800u, 0x8ffu})
        EXPECT_FALSE(apic.read_msr(msr, 0)) << std::hex << msr;
    for (unsigned msr : {0x802u, 0x803u, 0x80au, 0x80du, 0x80eu, 0x810u, 0x820u,
                         0x831u, 0x839u})
        EXPECT_FALSE(apic.write_msr(msr, 0, 0)) << std::hex << msr;
}

TEST(LocalApic, EachModeHasItsOwnRegistersOnly)
{
    auto x = enabled();
    EXPECT_FALSE(x.read_msr(0x802, 0));
    EXPECT_FALSE(x.write_msr(0x830, 0xf5, 0));
    auto x2 = enabled_x2(3);
    EXPECT_EQ(x2.read_page(0x20, 0), 0u);
    EXPECT_FALSE(x2.write_page(kIcrLow, 0xf5, 0).ipi);
    EXPECT_EQ(x2.read_msr(0x802, 0), 3u);
}

TEST(LocalApic, SelfIpiRegisterIsASelfShorthand)
{
    auto apic = enabled_x2();
    const auto effect = apic.write_msr(0x83f, 0x44, 0);
    ASSERT_TRUE(effect && effect->ipi);
    EXPECT_EQ(effect->ipi->shorthand, IPIDEFER_SELF);
    EXPECT_EQ(effect->ipi->vector, 0x44);
}

TEST(LocalApic, BaseRefusesWhatTheManualForbids)
{
    LocalApic apic{1, false};
    EXPECT_FALSE(apic.set_base(kBaseMsr | 1u << 10)) << "x2APIC, disabled";
    EXPECT_FALSE(apic.set_base(0xfee0'1000 | 1u << 11)) << "another page";
    EXPECT_FALSE(apic.set_base(kX2 | 1u << 9)) << "reserved";
    ASSERT_TRUE(apic.set_base(kX2));
    EXPECT_FALSE(apic.set_base(kBaseMsr | 1u << 11)) << "back to xAPIC";
    ASSERT_TRUE(apic.set_base(kBaseMsr));
    EXPECT_FALSE(apic.identity().enabled);
    EXPECT_FALSE(apic.set_base(kX2)) << "from disabled";
    EXPECT_TRUE(apic.set_base(kBaseMsr | 1u << 11));
    EXPECT_EQ(apic.base(), kBaseMsr | 1u << 11);
}

TEST(LocalApic, FirstProcessorBitIsNotTheGuestsToChange)
{
    LocalApic apic{0, true};
    ASSERT_TRUE(apic.set_base(kX2));
    EXPECT_EQ(apic.base(), kX2 | 1u << 8);
}

TEST(LocalApic, IdentityFollowsModeAndLogicalRegisters)
{
    auto apic = enabled(0x23);
    EXPECT_TRUE(apic.write_page(kLdr, 0x0800'0000, 0).identity);
    EXPECT_TRUE(apic.write_page(kDfr, 0x0000'0000, 0).identity);
    auto identity = apic.identity();
    EXPECT_EQ(identity.id, 0x23u);
    EXPECT_EQ(identity.ldr, 0x0800'0000u);
    EXPECT_EQ(identity.dfr >> 28, 0u);
    EXPECT_FALSE(identity.x2apic);
    identity = enabled_x2(0x23).identity();
    EXPECT_TRUE(identity.x2apic);
    EXPECT_EQ(identity.ldr, 0x0002'0008u);
}

TEST(LocalApic, OneShotTimerFiresOnce)
{
    auto apic = enabled();
    (void)apic.write_page(kDivide, 0xb, 0);
    (void)apic.write_page(kTimer, 0xe1, 0);
    (void)apic.write_page(kCount, 1000, 50);
    EXPECT_EQ(apic.deadline(), 1050u);
    EXPECT_EQ(apic.read_page(kNow, 450), 600u);
    apic.run_timer(1049);
    EXPECT_FALSE(apic.deliverable());
    apic.run_timer(1050);
    EXPECT_EQ(apic.deliverable(), 0xe1);
    EXPECT_FALSE(apic.deadline());
    EXPECT_EQ(apic.read_page(kNow, 2000), 0u);
}

TEST(LocalApic, TimerDividesAsTheManualSays)
{
    constexpr std::pair<std::uint32_t, std::uint64_t> kCases[] = {
        {0x0, 2},  {0x1, 4},  {0x2, 8},   {0x3, 16},
        {0x8, 32}, {0x9, 64}, {0xa, 128}, {0xb, 1}};
    for (const auto& [code, divisor] : kCases) {
        auto apic = enabled();
        (void)apic.write_page(kDivide, code, 0);
        (void)apic.write_page(kCount, 10, 0);
        EXPECT_EQ(apic.deadline(), 10 * divisor) << code;
    }
}

TEST(LocalApic, PeriodicTimerStaysOnItsGridAndSkipsWhatWasMissed)
{
    auto apic = enabled();
    (void)apic.write_page(kDivide, 0xb, 0);
    (void)apic.write_page(kTimer, 0xe1 | 1u << 17, 0);
    (void)apic.write_page(kCount, 1'000'000, 0);
    apic.run_timer(1'000'000);
    EXPECT_EQ(apic.deadline(), 2'000'000u);
    apic.run_timer(7'500'000);
    EXPECT_EQ(apic.deadline(), 8'000'000u);
    (void)apic.write_page(kCount, 0, 7'600'000);
    EXPECT_FALSE(apic.deadline());
}

TEST(LocalApic, PeriodicTimerOfAHostileGuestIsSlowedDown)
{
    auto apic = enabled();
    (void)apic.write_page(kDivide, 0xb, 0);
    (void)apic.write_page(kTimer, 0xe1 | 1u << 17, 0);
    (void)apic.write_page(kCount, 1, 0);
    apic.run_timer(1);
    EXPECT_GE(*apic.deadline(), LocalApic::kLeastPeriod);
}

TEST(LocalApic, MaskedTimerExpiresSilently)
{
    auto apic = enabled();
    (void)apic.write_page(kTimer, 0xe1 | 1u << 16, 0);
    (void)apic.write_page(kCount, 1, 0);
    apic.run_timer(1'000);
    EXPECT_FALSE(apic.deliverable());
}

TEST(LocalApic, InitForgetsInterruptsButNotModeAndId)
{
    auto apic = enabled_x2(7);
    apic.accept(0x80);
    (void)apic.write_msr(0x838, 100, 0);
    apic.init();
    EXPECT_FALSE(apic.deliverable());
    EXPECT_FALSE(apic.deadline());
    EXPECT_TRUE(apic.x2apic());
    EXPECT_EQ(apic.identity().id, 7u);
    apic.accept(0x80);
    EXPECT_FALSE(apic.deliverable()) << "software-disabled again";
}

TEST(LocalApic, NoOffsetOrMsrIsTooWildToBeAnswered)
{
    auto x = enabled();
    for (std::uint64_t offset = 0; offset < kApicPageBytes; ++offset) {
        (void)x.read_page(offset, 1);
        (void)x.write_page(offset, 0xffff'ffff, 1);
    }
    auto x2 = enabled_x2();
    for (std::uint32_t msr = 0x700; msr < 0xa00; ++msr) {
        (void)x2.read_msr(msr, 1);
        (void)x2.write_msr(msr, ~0ull, 1);
        (void)x2.write_msr(msr, 0, 1);
    }
    EXPECT_TRUE(x2.x2apic());
}

}  // namespace
}  // namespace ipidefer::vmm
