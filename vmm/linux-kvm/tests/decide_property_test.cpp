// SPDX-License-Identifier: GPL-2.0-or-later
// One decision, two languages: what the kernel's does is what the library does,
// for every input, to the last bit of the segment and of the guest's words.
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "vmm/core/tests/guest_layout.hpp"
#include "vmm/core/tests/seed.hpp"
#include "vmm/core/tests/segment_memory.hpp"
#include "vmm/linux-kvm/tests/kernel.hpp"

namespace ipidefer {
namespace {

constexpr std::uint32_t kVcpus = 66;  // more than one word of a mask
constexpr std::uint32_t kRing = 8;
constexpr std::uint32_t kSender = 3;
constexpr std::uint32_t kTarget = 65;

/// A VM with its segment.
struct Twin {
    std::size_t bytes = ipidefer_segment_bytes(kVcpus, kRing);
    test::SegmentMemory memory = test::make_segment_memory(bytes);
    test::VmPtr vm{ipidefer_vm_create_in(memory.get(), bytes, kVcpus, kRing)};

    template <class Part>
    Part& at(std::uint64_t offset)
    {
        return *reinterpret_cast<Part*>(memory.get() + offset);
    }
    ipidefer_segment& header() { return at<ipidefer_segment>(0); }
    ipidefer_segment_policy& policy()
    {
        return at<ipidefer_segment_policy>(header().policy_offset);
    }
    /// The segment without the times in its trace, and without what the library
    /// alone writes, for its own ticks.
    std::vector<std::byte> comparable()
    {
        std::vector<std::byte> copy(memory.get(), memory.get() + bytes);
        for (std::uint32_t i = 0; i < kRing; ++i) {
            auto* entry = reinterpret_cast<ipidefer_trace_entry*>(
                copy.data() + header().ring_offset +
                std::uint64_t{i} * header().ring_entry_bytes);
            entry->tsc = entry->tsc != 0 ? 1 : 0;
        }
        std::memset(copy.data() + header().view_offset, 0,
                    kVcpus * sizeof(ipidefer_segment_view));
        return copy;
    }
};

/// The library and the kernel, which are told the same.
class BothTest : public testing::Test {
  protected:
    void bind(const std::vector<ipi_defer_binding>& table)
    {
        std::vector<std::uint32_t*> ours(table.size(), &word_);
        std::vector<std::uint32_t*> theirs(table.size(), &kernel_word_);
        const auto count = static_cast<std::uint32_t>(table.size());
        for (Twin* twin : {&library_, &kernel_twin_})
            ASSERT_EQ(ipidefer_bind(twin->vm.get(), kTarget, table.data(),
                                    ours.data(), count, nullptr),
                      IPIDEFER_OK);
        kernel_.bind(kernel_twin_.vm.get(), kTarget, table, theirs);
    }

    void set_policy(const ipidefer_segment_policy& policy)
    {
        library_.policy() = policy;
        kernel_twin_.policy() = policy;
    }

    /// Both decide; whatever there is to compare is the same.
    [[nodiscard]] testing::AssertionResult same(std::uint32_t word,
                                                std::uint32_t target,
                                                std::uint8_t vector)
    {
        word_ = word;
        kernel_word_ = word;
        const auto ours =
            ipidefer_decide_from(library_.vm.get(), kSender, target, vector);
        const auto theirs = kernel_.decide(kSender, target, vector);
        if (ours != theirs)
            return testing::AssertionFailure()
                   << "the library says " << ipidefer_verdict_name(ours)
                   << ", the kernel " << ipidefer_verdict_name(theirs)
                   << ", word " << std::hex << word;
        if (word_ != kernel_word_)
            return testing::AssertionFailure()
                   << std::hex << "the library leaves " << word_
                   << ", the kernel " << kernel_word_ << ", of " << word;
        verdicts_.at(ours)++;
        return testing::AssertionSuccess();
    }
    [[nodiscard]] bool same_segment()
    {
        return library_.comparable() == kernel_twin_.comparable();
    }

    std::uint32_t word_ = 0;
    std::uint32_t kernel_word_ = 0;
    Twin library_;
    Twin kernel_twin_;
    kernel::Vm kernel_{kernel_twin_.memory.get(), kVcpus};
    std::array<unsigned, IPIDEFER_VERDICTS> verdicts_{};
};

ipidefer_segment_policy open_policy()
{
    ipidefer_segment_policy policy{};
    policy.enabled = 1;
    policy.contexts = IPIDEFER_CONTEXTS_ALL;
    policy.isolated[kTarget / 64] = std::uint64_t{1} << kTarget % 64;
    return policy;
}

// Small words, all of them: each mask, value, state and word of five bits, with
// each set of contexts allowed.
TEST_F(BothTest, EveryWordEveryBindingEveryContext)
{
    constexpr std::uint32_t kBits = 5;
    constexpr std::uint32_t kAll = 1u << kBits;
    constexpr std::uint32_t kWork = kAll;  // the bit above them
    auto b = test::make_binding();
    b.work_bit = kWork;
    for (std::uint32_t mask = 1; mask < kAll; ++mask)
        for (std::uint32_t value = mask;; value = (value - 1) & mask) {
            b.accept_mask = mask;
            b.accept_value = value;
            for (const std::uint32_t state : {3u, 6u, 0u}) {
                b.state_user = test::kUser;
                b.state_guest = test::kGuest;
                b.state_idle = test::kIdle;
                b.state_mask = state;
                b.state_shift = state == 6 ? 1 : 0;
                if (state == 0) b.state_user = b.state_guest = b.state_idle = 0;
                ASSERT_NO_FATAL_FAILURE(bind({b}));
                set_policy(open_policy());
                for (std::uint32_t word = 0; word < 2 * kAll; ++word)
                    // From all to none: what was allowed is not kept.
                    for (std::uint32_t contexts = 8; contexts-- > 0;) {
                        library_.policy().contexts = contexts;
                        kernel_twin_.policy().contexts = contexts;
                        ASSERT_TRUE(same(word, kTarget, test::kVector));
                    }
            }
            if (value == 0) break;
        }
    EXPECT_TRUE(same_segment());
    for (const auto verdict :
         {IPIDEFER_DEFERRED, IPIDEFER_COALESCED, IPIDEFER_DELIVERED_IN_KERNEL,
          IPIDEFER_DELIVERED_POLICY})
        EXPECT_NE(verdicts_.at(verdict), 0u) << verdict;
}

// Whole words, several bindings, any policy, garbage in it too; traced or not.
TEST_F(BothTest, AnythingElse)
{
    std::mt19937_64 random{test::seed()};
    const auto any = [&random](std::uint32_t below) {
        return static_cast<std::uint32_t>(random() % below);
    };
    for (int round = 0; round < 300; ++round) {
        const std::uint32_t count = 1 + any(IPI_DEFER_MAX_BINDINGS);
        std::vector<ipi_defer_binding> table;
        for (std::uint32_t i = 0; i < count; ++i) {
            auto b = test::make_binding(static_cast<std::uint8_t>(0xe0 + i),
                                        1u << (8 + i));
            b.accept_mask = (static_cast<std::uint32_t>(random()) & ~0xff00u &
                             static_cast<std::uint32_t>(random())) |
                            1u << 16;
            b.accept_value =
                b.accept_mask & static_cast<std::uint32_t>(random());
            table.push_back(b);
        }
        ASSERT_NO_FATAL_FAILURE(bind(table));
        for (int n = 0; n < 200; ++n) {
            auto policy = open_policy();
            if (any(4) == 0)
                policy.enabled = static_cast<std::uint32_t>(random());
            policy.contexts = static_cast<std::uint32_t>(random()) | any(2) * 7;
            if (any(4) == 0)
                for (auto& denied : policy.denied) denied = random();
            if (any(4) == 0)
                for (auto& isolated : policy.isolated) isolated = random();
            policy.trace = static_cast<std::uint32_t>(random());
            policy.max_age_ns = any(2);
            set_policy(policy);
            // Mostly words that one of the bindings accepts.
            const auto& b = table[any(count)];
            std::uint32_t word = static_cast<std::uint32_t>(random());
            if (any(3) != 0) word = (word & ~b.accept_mask) | b.accept_value;
            const auto vector = static_cast<std::uint8_t>(0xe0 + any(10));
            ASSERT_TRUE(
                same(word, any(5) == 0 ? any(kVcpus) : kTarget, vector));
        }
        ASSERT_TRUE(same_segment()) << "round " << round;
        if (any(3) == 0) {
            ipidefer_lose_word(library_.vm.get(), kTarget, 0);
            kernel_.lose_word(kTarget, 0);
            ASSERT_TRUE(same(0, kTarget, 0xe0));
        }
    }
    EXPECT_TRUE(same_segment());
    verdicts_.at(IPIDEFER_DELIVERED_CONTENDED) = 1;  // has a test of its own
    for (unsigned v = 0; v < IPIDEFER_VERDICTS; ++v)
        EXPECT_NE(verdicts_.at(v), 0u) << v;
}

// The kernel cannot look at a page that is not there; then it delivers, and the
// binding is as good as before.
TEST_F(BothTest, PageThatIsNotThereIsNotLost)
{
    const auto b = test::make_binding();
    ASSERT_NO_FATAL_FAILURE(bind({b}));
    set_policy(open_policy());
    kernel_.bind(kernel_twin_.vm.get(), kTarget, {b}, {nullptr});
    EXPECT_EQ(kernel_.decide(kSender, kTarget, test::kVector),
              IPIDEFER_DELIVERED_BAD_WORD);
    EXPECT_EQ(kernel_.since(kTarget, 0), 0u);
    kernel_word_ = test::kUser;
    kernel_.bind(kernel_twin_.vm.get(), kTarget, {b}, {&kernel_word_});
    EXPECT_EQ(kernel_.decide(kSender, kTarget, test::kVector),
              IPIDEFER_DEFERRED);
    EXPECT_NE(kernel_.since(kTarget, 0), 0u);
    const auto first = kernel_.since(kTarget, 0);
    EXPECT_EQ(kernel_.decide(kSender, kTarget, test::kVector),
              IPIDEFER_COALESCED);
    EXPECT_EQ(kernel_.since(kTarget, 0), first);
}

// A target that stays in userspace is not looked at before each IPI: what was
// left in its word is tried. Whatever else is there then is seen, and decided.
TEST_F(BothTest, WordAsItWasLeftIsNotReadAgain)
{
    ASSERT_NO_FATAL_FAILURE(bind({test::make_binding()}));
    set_policy(open_policy());
    ASSERT_TRUE(same(test::kUser, kTarget, test::kVector));
    kernel::reads = 0;
    for (int n = 0; n < 3; ++n)
        ASSERT_TRUE(same(kernel_word_, kTarget, test::kVector));
    EXPECT_EQ(kernel::reads, 0);
    EXPECT_EQ(verdicts_.at(IPIDEFER_COALESCED), 3u);

    // It entered its kernel, did the work, and is there or back.
    ASSERT_TRUE(same(test::kWatching, kTarget, test::kVector));
    ASSERT_TRUE(same(test::kUser, kTarget, test::kVector));
    EXPECT_EQ(kernel::reads, 2);
    ASSERT_TRUE(same(test::kUser, kTarget, test::kVector));
    EXPECT_EQ(verdicts_.at(IPIDEFER_DEFERRED), 3u);
    EXPECT_EQ(verdicts_.at(IPIDEFER_DELIVERED_IN_KERNEL), 1u);
    EXPECT_TRUE(same_segment());

    // It is lost, with the bit in it.
    ipidefer_lose_word(library_.vm.get(), kTarget, 0);
    kernel_.lose_word(kTarget, 0);
    ASSERT_TRUE(same(kernel_word_, kTarget, test::kVector));
    EXPECT_EQ(verdicts_.at(IPIDEFER_DELIVERED_BAD_WORD), 1u);
    EXPECT_TRUE(same_segment());
}

// Whatever forbids it, or wants to see it, is looked at each time.
TEST_F(BothTest, WhatWasRecordedIsNotAllowedForGood)
{
    const auto first = test::make_binding(0xe0, test::kFirstWork);
    const auto second = test::make_binding(0xe1, test::kFirstWork << 1);
    ASSERT_NO_FATAL_FAILURE(bind({first, second}));
    const auto again = [&](const ipidefer_segment_policy& policy,
                           std::uint8_t vector) {
        set_policy(open_policy());
        for (const auto& known : {first, second})
            if (!same(kernel_word_, kTarget, known.vector)) return false;
        set_policy(policy);
        return same(kernel_word_, kTarget, vector) && same_segment();
    };
    kernel_word_ = test::kUser;
    auto policy = open_policy();
    EXPECT_TRUE(again(policy, 0xe0));
    EXPECT_TRUE(again(policy, 0xe1));
    policy.enabled = 0;
    EXPECT_TRUE(again(policy, 0xe0));
    policy = open_policy();
    policy.denied[0xe0 / 64] = std::uint64_t{1} << 0xe0 % 64;
    EXPECT_TRUE(again(policy, 0xe0));
    EXPECT_TRUE(again(policy, 0xe1));
    policy = open_policy();
    policy.contexts = IPIDEFER_CONTEXT_GUEST;
    EXPECT_TRUE(again(policy, 0xe0));
    policy = open_policy();
    policy.isolated[kTarget / 64] = 0;
    EXPECT_TRUE(again(policy, 0xe0));
    policy = open_policy();
    policy.trace = IPIDEFER_TRACE_VERDICT;
    EXPECT_TRUE(again(policy, 0xe0));
    EXPECT_EQ(library_.header().trace_next, 1u);

    ASSERT_NO_FATAL_FAILURE(bind({second, first}));
    policy = open_policy();
    EXPECT_TRUE(again(policy, 0xe0));
    EXPECT_TRUE(again(policy, 0xe1));
}

TEST_F(BothTest, PageThatWentIsSeenByTheNextGuess)
{
    ASSERT_NO_FATAL_FAILURE(bind({test::make_binding()}));
    set_policy(open_policy());
    ASSERT_TRUE(same(test::kUser, kTarget, test::kVector));
    kernel_.take_page(kTarget, 0);
    EXPECT_EQ(kernel_.decide(kSender, kTarget, test::kVector),
              IPIDEFER_DELIVERED_BAD_WORD);
}

// The library's own test of this has a scripted guest; both give up alike.
TEST_F(BothTest, WordThatNeverHoldsStillIsDeliveredAfterBoundedTries)
{
    constexpr int kMaxTries = 16;
    ASSERT_NO_FATAL_FAILURE(bind({test::make_binding()}));
    set_policy(open_policy());
    kernel_word_ = test::kUser;
    kernel::others_first = kMaxTries;
    EXPECT_EQ(kernel_.decide(kSender, kTarget, test::kVector),
              IPIDEFER_DELIVERED_CONTENDED);
    EXPECT_EQ(kernel_word_, test::kUser);
    kernel::others_first = kMaxTries - 1;
    EXPECT_EQ(kernel_.decide(kSender, kTarget, test::kVector),
              IPIDEFER_DEFERRED);
    EXPECT_EQ(kernel::others_first, 0);
    // One more is tried unread.
    kernel::others_first = kMaxTries + 1;
    EXPECT_EQ(kernel_.decide(kSender, kTarget, test::kVector),
              IPIDEFER_DELIVERED_CONTENDED);
    EXPECT_EQ(kernel::others_first, 0);
}

// I6: it is the write that orders the sender's stores.
TEST_F(BothTest, BitAlreadySetStillDoesTheReadModifyWrite)
{
    ASSERT_NO_FATAL_FAILURE(bind({test::make_binding()}));
    set_policy(open_policy());
    kernel_word_ = test::kUser | test::kFirstWork;
    // Once read, and then as it was left.
    for (int n = 0; n < 2; ++n) {
        kernel::others_first = 1;
        EXPECT_EQ(kernel_.decide(kSender, kTarget, test::kVector),
                  IPIDEFER_COALESCED);
        EXPECT_EQ(kernel::others_first, 0);
    }
}

TEST_F(BothTest, SendsAreTracedAlike)
{
    std::mt19937_64 random{test::seed()};
    for (int n = 0; n < 500; ++n) {
        const std::uint64_t value = random();
        const bool x2apic = (value & 1) != 0;
        const std::array<std::uint64_t, 2> targets{random(), random()};
        const ipidefer_icr icr =
            x2apic
                ? ipidefer_icr_x2apic(value)
                : ipidefer_icr_xapic(static_cast<std::uint32_t>(value),
                                     static_cast<std::uint32_t>(value >> 32));
        ipidefer_trace_send(library_.vm.get(), kSender, &icr, targets.data());
        kernel_.trace_send(kSender, static_cast<std::uint32_t>(value), icr.dest,
                           x2apic, targets.data());
        ASSERT_TRUE(same_segment()) << std::hex << value;
    }
}

/// Every combination of bits 20:0 of an ICR, with one of the others set or
/// none.
template <class Check>
void each_low_half(Check check)
{
    for (unsigned more = 20; more <= 32; ++more)
        for (std::uint32_t low = 0; low < 1u << 20; ++low)
            check(low | (more < 32 ? 1u << more : 0));
}

TEST(KernelIcr, LegalIsWhatTheLibraryTakesForLegal)
{
    unsigned legal = 0;
    unsigned wrong = 0;
    each_low_half([&](std::uint32_t low) {
        for (const bool x2apic : {false, true}) {
            const bool ours = x2apic ? ipidefer_icr_x2apic(low).legal
                                     : ipidefer_icr_xapic(low, 0).legal;
            legal += ours;
            wrong += ours != kernel::typed_ipi_icr_legal(low, x2apic);
        }
    });
    EXPECT_EQ(wrong, 0u);
    EXPECT_GT(legal, 0u);
}

TEST(KernelDoorbell, TakesWhatTheLibraryTakes)
{
    unsigned taken = 0;
    unsigned wrong = 0;
    each_low_half([&](std::uint32_t low) {
        const std::uint64_t value =
            std::uint64_t{low * 2654435761u} << 32 | low;
        ipidefer_icr icr;
        const bool ours =
            ipidefer_doorbell_decode(value, &icr, nullptr) == IPIDEFER_OK;
        taken += ours;
        wrong += ours != kernel::typed_ipi_bell_valid(value);
    });
    EXPECT_EQ(wrong, 0u);
    EXPECT_GT(taken, 0u);
}

TEST(KernelDoorbell, RequestsAreThoseThatTheLibraryTakes)
{
    std::mt19937_64 random{test::seed()};
    constexpr std::array<std::uint32_t, 6> kBases{
        0, 1, 0xffff'fffe, 0xffff'ffff, 0xffff'fe3f, 0xffff'fe40};
    unsigned taken = 0;
    unsigned refused = 0;
    for (int n = 0; n < 200'000; ++n) {
        ipi_defer_multi request{};
        request.vector = n % 3 == 0
                             ? static_cast<std::uint32_t>(random())
                             : static_cast<std::uint32_t>(random() % 258);
        request.base = n % 2 == 0
                           ? kBases.at(random() % kBases.size())
                           : static_cast<std::uint32_t>(0 - random() % 600);
        if (n % 5 != 0)
            request.mask[random() % IPI_DEFER_MULTI_WORDS] = std::uint64_t{1}
                                                             << random() % 64;
        ipidefer_multi decoded;
        const bool ours =
            ipidefer_multi_decode(&request, sizeof request, &decoded,
                                  nullptr) == IPIDEFER_OK;
        ASSERT_EQ(ours, kernel::typed_ipi_multi_valid(&request))
            << request.vector << ' ' << request.base;
        ++(ours ? taken : refused);
    }
    EXPECT_GT(taken, 0u);
    EXPECT_GT(refused, 0u);
}

}  // namespace
}  // namespace ipidefer
