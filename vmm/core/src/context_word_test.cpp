// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/core/src/context_word.hpp"

#include <gtest/gtest.h>

#include <bit>

#include "vmm/core/tests/guest_layout.hpp"
#include "vmm/core/tests/scripted_ref.hpp"

namespace ipidefer {
namespace {

using test::kBystanders;
using test::kFirstWork;
using test::kWatching;
using test::Script;
using test::ScriptedRef;

constexpr std::uint32_t kAll = IPIDEFER_CONTEXTS_ALL;
constexpr std::uint32_t kUserWord = test::kUser | kBystanders;

ipidefer_verdict run(std::uint32_t& word, std::uint32_t contexts = kAll)
{
    return record<ScriptedRef>(word, test::make_binding(), contexts);
}

TEST(ContextWord, AcceptingWordIsDeferredAndGainsExactlyTheWorkBit)
{
    std::uint32_t word = kUserWord;
    EXPECT_EQ(record(word, test::make_binding(), kAll), IPIDEFER_DEFERRED);
    EXPECT_EQ(word, kUserWord | kFirstWork);
}

TEST(ContextWord, BitAlreadySetIsCoalescedAndLeavesTheWord)
{
    std::uint32_t word = kUserWord | kFirstWork;
    EXPECT_EQ(record(word, test::make_binding(), kAll), IPIDEFER_COALESCED);
    EXPECT_EQ(word, kUserWord | kFirstWork);
}

// I6
TEST(ContextWord, BitAlreadySetStillDoesTheReadModifyWrite)
{
    Script script;
    std::uint32_t word = kUserWord | kFirstWork;
    EXPECT_EQ(run(word), IPIDEFER_COALESCED);
    ASSERT_EQ(script.attempts.size(), 1u);
    EXPECT_TRUE(script.attempts[0].succeeded);
}

TEST(ContextWord, RecordingReleasesTheSendersStores)
{
    Script script;
    std::uint32_t word = kUserWord;
    EXPECT_EQ(run(word), IPIDEFER_DEFERRED);
    ASSERT_EQ(script.attempts.size(), 1u);
    EXPECT_EQ(script.attempts[0].success, std::memory_order_release);
}

// I8: the state says USER, yet kernel code runs (an NMI over userspace).
TEST(ContextWord, WatchingWordThatSaysUserIsDelivered)
{
    Script script;
    std::uint32_t word = kUserWord | kWatching;
    EXPECT_EQ(run(word), IPIDEFER_DELIVERED_IN_KERNEL);
    EXPECT_EQ(word, kUserWord | kWatching);
    EXPECT_TRUE(script.attempts.empty());
}

// I1: recorded and suppressed go together.
TEST(ContextWord, RecordedWorkIsSuppressed)
{
    Script script;
    std::uint32_t word = kUserWord;
    const ipidefer_verdict verdict = run(word);
    EXPECT_EQ(ipidefer_suppresses(verdict), (word & kFirstWork) != 0);
    EXPECT_EQ(word & kFirstWork, kFirstWork);
}

// I2, for every binding's bit and every other bit of the word.
TEST(ContextWord, EveryWriteAddsTheWorkBitAndNothingElse)
{
    for (unsigned bit = 0; bit < 32; ++bit) {
        Script script;
        ipi_defer_binding b = test::make_binding(test::kVector, 1u << bit);
        b.accept_mask = std::rotl(1u << bit, 1);
        b.state_mask = 0;
        std::uint32_t word = ~b.accept_mask & ~b.work_bit;
        const std::uint32_t before = word;
        EXPECT_EQ(record<ScriptedRef>(word, b, kAll), IPIDEFER_DEFERRED);
        EXPECT_EQ(word, before | b.work_bit);
        for (const auto& attempt : script.attempts)
            EXPECT_EQ(attempt.desired, attempt.expected | b.work_bit);
    }
}

TEST(ContextWord, TargetThatEntersTheKernelDuringTheDecisionIsDelivered)
{
    Script script;
    script.before_cas = [](std::uint32_t& word, std::size_t) {
        word |= kWatching;
    };
    std::uint32_t word = kUserWord;
    EXPECT_EQ(run(word), IPIDEFER_DELIVERED_IN_KERNEL);
    EXPECT_EQ(word, kUserWord | kWatching);
    EXPECT_EQ(script.attempts.size(), 1u);
}

TEST(ContextWord, OtherSenderThatSetsTheBitFirstMakesItCoalesced)
{
    Script script;
    script.before_cas = [](std::uint32_t& word, std::size_t attempt) {
        if (attempt == 0) word |= kFirstWork;
    };
    std::uint32_t word = kUserWord;
    EXPECT_EQ(run(word), IPIDEFER_COALESCED);
    EXPECT_EQ(script.attempts.size(), 2u);
}

TEST(ContextWord, TargetThatEntersIdleDuringTheDecisionObeysPolicy)
{
    Script script;
    script.before_cas = [](std::uint32_t& word, std::size_t attempt) {
        if (attempt == 0) word = test::kIdle;
    };
    std::uint32_t word = kUserWord;
    EXPECT_EQ(run(word, IPIDEFER_CONTEXT_USER), IPIDEFER_DELIVERED_POLICY);
    EXPECT_EQ(word, test::kIdle);
}

// I4, I7: hostile guest. The script gives up long after we should have.
TEST(ContextWord, WordThatNeverHoldsStillIsDeliveredAfterBoundedTries)
{
    constexpr std::size_t kPatience = 1000;
    Script script;
    script.before_cas = [](std::uint32_t& word, std::size_t attempt) {
        if (attempt < kPatience) word += 0x0100'0000;
    };
    std::uint32_t word = kUserWord;
    EXPECT_EQ(run(word), IPIDEFER_DELIVERED_CONTENDED);
    EXPECT_EQ(word & kFirstWork, 0u);
    EXPECT_EQ(script.attempts.size(), std::size_t{kMaxTries});
}

TEST(ContextWord, LastTryMaySucceed)
{
    Script script;
    script.before_cas = [](std::uint32_t& word, std::size_t attempt) {
        if (attempt + 1 < kMaxTries) word += 0x0100'0000;
    };
    std::uint32_t word = kUserWord;
    EXPECT_EQ(run(word), IPIDEFER_DEFERRED);
    EXPECT_EQ(script.attempts.size(), std::size_t{kMaxTries});
}

TEST(ContextWord, MemoryIsReadOnceWhenNothingInterferes)
{
    Script script;
    std::uint32_t word = kUserWord;
    EXPECT_EQ(run(word), IPIDEFER_DEFERRED);
    EXPECT_EQ(script.loads, 1u);
}

struct ContextCase {
    const char* name;
    std::uint32_t state;
    std::uint32_t allowed;
    ipidefer_verdict verdict;
};

std::ostream& operator<<(std::ostream& os, const ContextCase& c)
{
    return os << c.name;
}

class ContextWordPolicy : public testing::TestWithParam<ContextCase> {};

TEST_P(ContextWordPolicy, StateIsHeldAgainstTheAllowedContexts)
{
    std::uint32_t word = GetParam().state;
    EXPECT_EQ(record(word, test::make_binding(), GetParam().allowed),
              GetParam().verdict);
}

constexpr std::uint32_t kU = IPIDEFER_CONTEXT_USER;
constexpr std::uint32_t kG = IPIDEFER_CONTEXT_GUEST;
constexpr std::uint32_t kI = IPIDEFER_CONTEXT_IDLE;

INSTANTIATE_TEST_SUITE_P(
    EachContext, ContextWordPolicy,
    testing::Values(
        ContextCase{"UserAllowed", test::kUser, kU, IPIDEFER_DEFERRED},
        ContextCase{"UserDenied", test::kUser, kG | kI,
                    IPIDEFER_DELIVERED_POLICY},
        ContextCase{"GuestAllowed", test::kGuest, kG, IPIDEFER_DEFERRED},
        ContextCase{"GuestDenied", test::kGuest, kU | kI,
                    IPIDEFER_DELIVERED_POLICY},
        ContextCase{"IdleAllowed", test::kIdle, kI, IPIDEFER_DEFERRED},
        ContextCase{"IdleDenied", test::kIdle, kU | kG,
                    IPIDEFER_DELIVERED_POLICY},
        // Accepting, but the state is none of the three.
        ContextCase{"OtherWithoutAll", test::kKernel, kU | kG,
                    IPIDEFER_DELIVERED_POLICY},
        ContextCase{"OtherWithAll", test::kKernel, kAll, IPIDEFER_DEFERRED},
        ContextCase{"NothingAllowed", test::kUser, 0,
                    IPIDEFER_DELIVERED_POLICY}),
    [](const auto& info) { return info.param.name; });

TEST(ContextWord, UnknownStateNeedsAllContexts)
{
    ipi_defer_binding b = test::make_binding();
    b.state_mask = 0;
    std::uint32_t word = test::kUser;
    EXPECT_EQ(record(word, b, kU | kG), IPIDEFER_DELIVERED_POLICY);
    EXPECT_EQ(word, test::kUser);
    EXPECT_EQ(record(word, b, kAll), IPIDEFER_DEFERRED);
}

TEST(ContextWord, StateIsShiftedBeforeItIsCompared)
{
    ipi_defer_binding b = test::make_binding();
    b.state_mask = 0xc000'0000;
    b.state_shift = 30;
    std::uint32_t word = std::uint32_t{test::kGuest} << 30;
    EXPECT_EQ(record(word, b, kG), IPIDEFER_DEFERRED);
}

}  // namespace
}  // namespace ipidefer
