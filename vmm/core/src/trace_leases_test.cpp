// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/core/src/trace_leases.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "vmm/core/src/settle_trace.hpp"
#include "vmm/core/tests/scripted_ref.hpp"

namespace ipidefer {
namespace {

constexpr std::uint64_t kTicksPerSecond = 2'000'000'000;
constexpr std::uint64_t kLease =
    IPIDEFER_LEASE_NS / 1'000'000'000 * kTicksPerSecond;
constexpr std::uint32_t kSendEvents = IPIDEFER_TRACE_SEND;
constexpr std::uint32_t kVerdictEvents = IPIDEFER_TRACE_VERDICT;

class TraceLeasesTest : public ::testing::Test {
  protected:
    ipidefer_lease take(std::uint32_t kinds, std::uint32_t holder)
    {
        ipidefer_lease lease{};
        EXPECT_TRUE(take_lease(words_, kinds, holder, lease));
        return lease;
    }
    void tick(std::uint64_t now) { leases_.tick(words_, now, kTicksPerSecond); }

    ipidefer_segment_policy words_{};
    TraceLeases leases_;
};

TEST_F(TraceLeasesTest, LeaseTracesAtOnceAndUntilItsEnd)
{
    ipidefer_lease lease = take(kSendEvents, 7);
    EXPECT_EQ(words_.trace, kSendEvents);
    end_lease(words_, lease);
    EXPECT_EQ(words_.trace, 0u);
    EXPECT_EQ(words_.lease[lease.slot], 0u);
}

TEST_F(TraceLeasesTest, FirstReaderThatEndsFirstDoesNotBlindTheSecond)
{
    ipidefer_lease first = take(kSendEvents | kVerdictEvents, 1);
    ipidefer_lease second = take(kVerdictEvents, 2);
    end_lease(words_, first);
    EXPECT_EQ(words_.trace, kVerdictEvents);
    end_lease(words_, second);
    EXPECT_EQ(words_.trace, 0u);
}

TEST_F(TraceLeasesTest, WhatTheVmmTracesStays)
{
    words_.trace_base = kVerdictEvents;
    ipidefer_lease lease = take(kSendEvents, 1);
    EXPECT_EQ(words_.trace, kSendEvents);
    tick(1);
    EXPECT_EQ(words_.trace, kSendEvents | kVerdictEvents);
    end_lease(words_, lease);
    EXPECT_EQ(words_.trace, kVerdictEvents);
}

TEST_F(TraceLeasesTest, LeaseOfADeadReaderIsEndedByTheTick)
{
    ipidefer_lease dead = take(kSendEvents, 1);
    tick(100);
    tick(100 + kLease - 1);
    EXPECT_EQ(words_.trace, kSendEvents);
    tick(100 + kLease);
    EXPECT_EQ(words_.trace, 0u);
    EXPECT_EQ(words_.lease[dead.slot], 0u);
}

TEST_F(TraceLeasesTest, RenewedLeaseLasts)
{
    ipidefer_lease lease = take(kSendEvents, 1);
    std::uint64_t now = 100;
    for (int i = 0; i < 10; ++i, now += kLease - 1) {
        tick(now);
        EXPECT_EQ(words_.trace, kSendEvents);
        EXPECT_TRUE(renew_lease(words_, lease));
    }
}

TEST_F(TraceLeasesTest, RenewalChangesTheWordAlsoWhereItsCountWraps)
{
    ipidefer_lease lease = take(kSendEvents, 1);
    lease.word |= 0xffff'ff00;
    words_.lease[lease.slot] = lease.word;
    const std::uint64_t before = lease.word;
    EXPECT_TRUE(renew_lease(words_, lease));
    EXPECT_NE(lease.word, before);
    EXPECT_EQ(lease.word >> 32, 1u);
    EXPECT_EQ(lease.word & 0xff, kSendEvents);
}

TEST_F(TraceLeasesTest, WhoSleptTooLongIsToldAndTouchesNobodysLease)
{
    ipidefer_lease slept = take(kSendEvents, 1);
    tick(100);
    tick(100 + kLease);
    ipidefer_lease next = take(kVerdictEvents, 2);
    ASSERT_EQ(next.slot, slept.slot);
    EXPECT_FALSE(renew_lease(words_, slept));
    end_lease(words_, slept);
    EXPECT_EQ(words_.lease[next.slot], next.word);
    EXPECT_EQ(words_.trace, kVerdictEvents);
}

TEST_F(TraceLeasesTest, NewHolderOfASlotHasItsWholeTime)
{
    take(kSendEvents, 1);
    tick(100);
    tick(100 + kLease);
    take(kSendEvents, 1);
    tick(100 + kLease + 1);
    tick(100 + 2 * kLease);
    EXPECT_EQ(words_.trace, kSendEvents);
}

TEST_F(TraceLeasesTest, UnknownFrequencyMakesLeasesLonger)
{
    take(kSendEvents, 1);
    leases_.tick(words_, 1, 0);
    leases_.tick(words_, 1 + kLease, 0);
    EXPECT_EQ(words_.trace, kSendEvents);
    leases_.tick(words_, 1 + 3 * 10'000'000'000ull, 0);
    EXPECT_EQ(words_.trace, 0u);
}

TEST_F(TraceLeasesTest, ClockThatWentBackStartsTheTimeAnew)
{
    take(kSendEvents, 1);
    tick(1'000'000);
    tick(10);
    tick(10 + kLease - 1);
    EXPECT_EQ(words_.trace, kSendEvents);
    tick(10 + kLease);
    EXPECT_EQ(words_.trace, 0u);
}

TEST_F(TraceLeasesTest, AsManyAsThereAreAndNoMore)
{
    std::vector<ipidefer_lease> leases;
    for (std::uint32_t i = 0; i < IPIDEFER_SEGMENT_LEASES; ++i)
        leases.push_back(take(kSendEvents, i + 1));
    ipidefer_lease more{};
    EXPECT_FALSE(take_lease(words_, kSendEvents, 99, more));
    end_lease(words_, leases[5]);
    EXPECT_TRUE(take_lease(words_, kSendEvents, 99, more));
    EXPECT_EQ(more.slot, 5u);
}

TEST_F(TraceLeasesTest, UnknownKindsAreIgnored)
{
    ipidefer_lease lease = take(~0u, 1);
    EXPECT_EQ(words_.trace, std::uint32_t{IPIDEFER_TRACE_ALL});
    words_.lease[3] = ~std::uint64_t{0};
    words_.trace_base = ~0u;
    tick(1);
    EXPECT_EQ(words_.trace, std::uint32_t{IPIDEFER_TRACE_ALL});
    end_lease(words_, lease);
}

TEST_F(TraceLeasesTest, WhatSomebodyWroteOverTheResultIsPutRight)
{
    take(kSendEvents, 1);
    words_.trace = kVerdictEvents;
    tick(1);
    EXPECT_EQ(words_.trace, kSendEvents);
}

TEST_F(TraceLeasesTest, LeaseThatIsTakenWhileAnotherEndsIsTraced)
{
    // The last reader has gone, and `trace` does not know yet.
    words_.trace = kVerdictEvents;
    test::Script script;
    script.before_cas = [&](std::uint32_t&, std::size_t attempt) {
        // Behind the look at its slot, and before what that look leads to.
        if (attempt == 0) take(kVerdictEvents, 2);
    };
    settle_trace_with<test::ScriptedRef>(words_);
    EXPECT_EQ(words_.trace, kVerdictEvents);
    ASSERT_EQ(script.attempts.size(), 2u);
    EXPECT_TRUE(script.attempts[0].succeeded);
    EXPECT_EQ(script.attempts[0].desired, 0u);
}

TEST_F(TraceLeasesTest, WhoChangesTheResultForEverIsNotWaitedFor)
{
    words_.trace_base = kSendEvents;
    test::Script script;
    script.before_cas = [](std::uint32_t& trace, std::size_t) {
        trace ^= kVerdictEvents | 0x8000'0000;
    };
    settle_trace_with<test::ScriptedRef>(words_);
    EXPECT_EQ(script.attempts.size(), std::size_t{kMaxSettleRounds});
}

}  // namespace
}  // namespace ipidefer
