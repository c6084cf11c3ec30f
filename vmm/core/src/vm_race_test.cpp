// SPDX-License-Identifier: GPL-2.0-or-later
// Senders against a guest that enters and leaves its kernel all the time. Run
// under ThreadSanitizer: the senders' changes are plain stores, so an ordering
// that is missing (I5, I6) is a reported data race, whatever the timing.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <thread>
#include <vector>

#include "vmm/core/tests/guest_layout.hpp"
#include "vmm/core/tests/racing_guest.hpp"
#include "vmm/core/tests/segment_memory.hpp"

namespace ipidefer {
namespace {

using test::kFirstWork;
using test::kUser;
using test::kWorkMask;
using test::Target;

constexpr unsigned kSenders = 4;
constexpr std::uint64_t kRounds = 2'000;
constexpr std::uint8_t kFirstVector = 0xf1;

class VmRace : public testing::Test {
  protected:
    void bind(Target& target, unsigned kinds)
    {
        ASSERT_EQ(ipidefer_set_isolated(vm_.get(), 0, true), IPIDEFER_OK);
        std::vector<ipi_defer_binding> table;
        std::vector<std::uint32_t*> words;
        for (unsigned k = 0; k < kinds; ++k) {
            table.push_back(test::make_binding(vector(k), kFirstWork << k));
            words.push_back(&target.word());
        }
        ASSERT_EQ(ipidefer_bind(vm_.get(), 0, table.data(), words.data(), kinds,
                                nullptr),
                  IPIDEFER_OK);
    }

    static std::uint8_t vector(unsigned kind)
    {
        return static_cast<std::uint8_t>(kFirstVector + kind);
    }

    std::uint64_t counted(unsigned kind, ipidefer_verdict verdict)
    {
        return test::counted(vm_.get(), 0, vector(kind), verdict);
    }

    test::VmPtr vm_ = test::make_vm(1);
};

// I1, I5: each sender has a vector of its own, asks, and waits until done.
TEST_F(VmRace, EveryRequestIsDoneAfterTheChangeItAsksFor)
{
    Target target{kSenders};
    ASSERT_NO_FATAL_FAILURE(bind(target, kSenders));
    std::array<test::Asked, kSenders> asked{};

    test::race(target, kSenders, [&](unsigned s) {
        asked.at(s) =
            test::ask_and_wait(target.work(s), kRounds, [&](std::uint64_t) {
                return ipidefer_decide(vm_.get(), 0, vector(s));
            });
    });

    EXPECT_EQ(target.set_in_kernel(), 0u);
    std::uint64_t all_deferred = 0;
    std::uint64_t all_delivered = 0;
    for (unsigned s = 0; s < kSenders; ++s) {
        EXPECT_FALSE(asked.at(s).lost);
        // Waiting senders never find their own bit set.
        EXPECT_EQ(counted(s, IPIDEFER_COALESCED), 0u);
        EXPECT_EQ(counted(s, IPIDEFER_DEFERRED), target.bits_seen(s));
        EXPECT_EQ(counted(s, IPIDEFER_DEFERRED) + asked.at(s).delivered,
                  kRounds);
        EXPECT_EQ(test::counted_total(vm_.get(), 0, vector(s)), kRounds);
        all_deferred += counted(s, IPIDEFER_DEFERRED);
        all_delivered += asked.at(s).delivered;
    }
    // Otherwise the run proves nothing.
    EXPECT_GT(all_deferred, 0u);
    EXPECT_GT(all_delivered, 0u);
}

// Conservation: senders that share one bit and do not wait.
TEST_F(VmRace, EachDeferredBitIsSeenByExactlyOneKernelEntry)
{
    Target target{1};
    ASSERT_NO_FATAL_FAILURE(bind(target, 1));
    std::array<std::uint64_t, kSenders> recorded{};

    test::race(target, kSenders, [&](unsigned s) {
        for (std::uint64_t n = 0; n < 10 * kRounds; ++n)
            recorded[s] +=
                ipidefer_suppresses(ipidefer_decide(vm_.get(), 0, vector(0)));
    });

    EXPECT_EQ(target.set_in_kernel(), 0u);
    std::uint64_t all_recorded = 0;
    for (const std::uint64_t n : recorded) all_recorded += n;
    EXPECT_EQ(counted(0, IPIDEFER_DEFERRED), target.bits_seen(0));
    EXPECT_EQ(counted(0, IPIDEFER_DEFERRED) + counted(0, IPIDEFER_COALESCED),
              all_recorded);
    EXPECT_EQ(test::counted_total(vm_.get(), 0, vector(0)),
              10 * kRounds * kSenders);
    EXPECT_EQ(target.word(), kUser);
}

// Policy may be changed and counters read while others decide; another vCPU
// may register. TSan is the judge, the sum of the counters the witness.
TEST_F(VmRace, PolicyRegistrationAndReadersDoNotDisturbDecisions)
{
    const auto vm = test::make_vm(2);
    std::uint32_t word = kUser;
    std::uint32_t other = kUser;
    ASSERT_EQ(test::bind_isolated(vm.get(), 0, word), IPIDEFER_OK);

    std::thread sender{[&] {
        for (std::uint64_t n = 0; n < 10 * kRounds; ++n)
            static_cast<void>(ipidefer_decide(vm.get(), 0, test::kVector));
    }};
    std::uint64_t before = 0;
    for (std::uint64_t n = 0; n < kRounds; ++n) {
        ipidefer_set_enabled(vm.get(), n % 2 == 0);
        ipidefer_set_contexts(vm.get(), static_cast<std::uint32_t>(n));
        ipidefer_set_vector_allowed(vm.get(), test::kVector, n % 3 != 0);
        EXPECT_EQ(ipidefer_set_isolated(vm.get(), 0, n % 5 != 0), IPIDEFER_OK);
        EXPECT_EQ(test::bind_isolated(vm.get(), 1, other), IPIDEFER_OK);
        EXPECT_TRUE(ipidefer_typed(vm.get(), test::kVector));
        ipidefer_unbind(vm.get(), 1);
        const auto now = test::counted_total(vm.get(), 0, test::kVector);
        EXPECT_GE(now, before);
        before = now;
    }
    sender.join();
    EXPECT_EQ(test::counted_total(vm.get(), 0, test::kVector), 10 * kRounds);
}

// A VM that others look on: ticks and changes of the policy beside senders.
TEST(VmRaceShared, TicksAndPolicyChangesDisturbNoSender)
{
    const std::size_t bytes = ipidefer_segment_bytes(1, 4);
    const auto memory = test::make_segment_memory(bytes);
    const test::VmPtr vm{ipidefer_vm_create_in(memory.get(), bytes, 1, 4)};
    ASSERT_NE(vm, nullptr);
    std::uint32_t word = kUser;
    ASSERT_EQ(test::bind_isolated(vm.get(), 0, word), IPIDEFER_OK);
    ipidefer_set_max_age(vm.get(), 1);
    ipidefer_set_trace(vm.get(), IPIDEFER_TRACE_ALL);

    std::atomic<unsigned> sending{kSenders};
    std::vector<std::thread> senders;
    for (unsigned i = 0; i < kSenders; ++i)
        senders.emplace_back([&, i] {
            for (std::uint64_t n = 0; n < kRounds; ++n) {
                (void)ipidefer_decide_from(vm.get(), i, 0, test::kVector);
                // The guest's flush.
                std::atomic_ref{word}.fetch_and(~kWorkMask);
            }
            sending.fetch_sub(1);
        });
    std::uint64_t delivered = 0;
    std::uint64_t now = 1;
    while (sending.load() != 0) {
        ipidefer_tick(
            vm.get(), ++now,
            [](void* count, std::uint32_t, std::uint8_t) {
                ++*static_cast<std::uint64_t*>(count);
            },
            &delivered);
        ipidefer_set_enabled(vm.get(), now % 2 == 0);
        std::this_thread::yield();
    }
    for (std::thread& sender : senders) sender.join();
    EXPECT_EQ(test::counted_total(vm.get(), 0, test::kVector),
              kSenders * kRounds);  // I1
    EXPECT_EQ(ipidefer_expired(vm.get(), 0, test::kVector), delivered);
}

// A sender that finds a word inaccessible loses it, in a thread of its own.
TEST_F(VmRace, TicksRunWhileSendersLoseWords)
{
    constexpr std::uint32_t kVcpus = 64;
    constexpr unsigned kTimes = 20;
    const auto vm = test::make_vm(kVcpus);
    std::vector<std::uint32_t> words(kVcpus, kUser);
    for (unsigned n = 0; n < kTimes; ++n) {
        for (std::uint32_t i = 0; i < kVcpus; ++i)
            ASSERT_EQ(test::bind_isolated(vm.get(), i, words[i]), IPIDEFER_OK);
        std::atomic<std::uint64_t> ticks{0};
        std::atomic<bool> stop{false};
        std::thread ticker{[&] {
            while (!stop.load()) {
                ipidefer_tick(
                    vm.get(), 1, [](void*, std::uint32_t, std::uint8_t) {},
                    nullptr);
                ticks.fetch_add(1);
            }
        }};
        while (ticks.load() == 0) std::this_thread::yield();
        for (std::uint32_t i = 0; i < kVcpus; ++i)
            ipidefer_lose_word(vm.get(), i, 0);
        const std::uint64_t lost_at = ticks.load();
        while (ticks.load() < lost_at + 2) std::this_thread::yield();
        stop.store(true);
        ticker.join();
        for (std::uint32_t i = 0; i < kVcpus; ++i)
            EXPECT_EQ(ipidefer_decide(vm.get(), i, test::kVector),
                      IPIDEFER_DELIVERED_BAD_WORD);
    }
}

}  // namespace
}  // namespace ipidefer
