// SPDX-License-Identifier: GPL-2.0-or-later
// The kernel's decision and the library's, at a time, in the same words and the
// same segment, against a guest that enters and leaves its kernel all the time:
// a VM whose doorbell KVM takes, while QEMU still delivers for age, does that.
#include <gtest/gtest.h>

#include <array>
#include <mutex>
#include <vector>

#include "vmm/core/tests/guest_layout.hpp"
#include "vmm/core/tests/racing_guest.hpp"
#include "vmm/core/tests/segment_memory.hpp"
#include "vmm/linux-kvm/tests/kernel.hpp"

namespace ipidefer {
namespace {

constexpr unsigned kSenders = 4;
constexpr std::uint64_t kRounds = 2'000;
constexpr std::uint32_t kRing = 64;
constexpr std::uint8_t kFirstVector = 0xf1;

std::uint8_t vector_of(unsigned kind)
{
    return static_cast<std::uint8_t>(kFirstVector + kind);
}

class BothRace : public testing::Test {
  protected:
    void bind(test::Target& target, unsigned kinds)
    {
        ASSERT_EQ(ipidefer_set_isolated(vm_.get(), 0, true), IPIDEFER_OK);
        std::vector<ipi_defer_binding> table;
        for (unsigned k = 0; k < kinds; ++k)
            table.push_back(
                test::make_binding(vector_of(k), test::kFirstWork << k));
        std::vector<std::uint32_t*> words(kinds, &target.word());
        ASSERT_EQ(ipidefer_bind(vm_.get(), 0, table.data(), words.data(), kinds,
                                nullptr),
                  IPIDEFER_OK);
        kernel_.bind(vm_.get(), 0, table, words);
        ipidefer_set_trace(vm_.get(), IPIDEFER_TRACE_VERDICT);
    }

    /// Odd ones go to the kernel, which holds the target's lock.
    ipidefer_verdict decide(std::uint64_t n, unsigned sender, unsigned kind)
    {
        if (n % 2 == 0)
            return ipidefer_decide_from(vm_.get(), sender, 0, vector_of(kind));
        const std::lock_guard lock{target_lock_};
        return kernel_.decide(sender, 0, vector_of(kind));
    }

    std::uint64_t counted(unsigned kind, ipidefer_verdict verdict)
    {
        return test::counted(vm_.get(), 0, vector_of(kind), verdict);
    }

    std::size_t bytes_ = ipidefer_segment_bytes(1, kRing);
    test::SegmentMemory memory_ = test::make_segment_memory(bytes_);
    test::VmPtr vm_{ipidefer_vm_create_in(memory_.get(), bytes_, 1, kRing)};
    kernel::Vm kernel_{memory_.get(), 1};
    std::mutex target_lock_;
};

// I1, I5: each sender has a vector of its own, asks, and waits until done.
TEST_F(BothRace, EveryRequestIsDoneAfterTheChangeItAsksFor)
{
    test::Target target{kSenders};
    ASSERT_NO_FATAL_FAILURE(bind(target, kSenders));
    std::array<test::Asked, kSenders> asked{};

    test::race(target, kSenders, [&](unsigned s) {
        asked.at(s) = test::ask_and_wait(
            target.work(s), kRounds,
            [&](std::uint64_t n) { return decide(n, s, s); });
    });

    EXPECT_EQ(target.set_in_kernel(), 0u);
    std::uint64_t all_deferred = 0;
    for (unsigned s = 0; s < kSenders; ++s) {
        EXPECT_FALSE(asked.at(s).lost);
        EXPECT_EQ(counted(s, IPIDEFER_COALESCED), 0u);
        EXPECT_EQ(counted(s, IPIDEFER_DEFERRED), target.bits_seen(s));
        EXPECT_EQ(counted(s, IPIDEFER_DEFERRED) + asked.at(s).delivered,
                  kRounds);
        all_deferred += counted(s, IPIDEFER_DEFERRED);
    }
    EXPECT_GT(all_deferred, 0u);  // otherwise the run proves nothing
}

// Conservation: all share one bit and do not wait. And both number the events
// of one ring: none is written twice, none is without a number.
TEST_F(BothRace, EachDeferredBitIsSeenByExactlyOneKernelEntry)
{
    test::Target target{1};
    ASSERT_NO_FATAL_FAILURE(bind(target, 1));
    std::array<std::uint64_t, kSenders> recorded{};

    test::race(target, kSenders, [&](unsigned s) {
        for (std::uint64_t n = 0; n < 5 * kRounds; ++n)
            recorded.at(s) += ipidefer_suppresses(decide(n + s, s, 0));
    });

    EXPECT_EQ(target.set_in_kernel(), 0u);
    std::uint64_t all_recorded = 0;
    for (const std::uint64_t n : recorded) all_recorded += n;
    EXPECT_EQ(counted(0, IPIDEFER_DEFERRED), target.bits_seen(0));
    EXPECT_EQ(counted(0, IPIDEFER_DEFERRED) + counted(0, IPIDEFER_COALESCED),
              all_recorded);
    EXPECT_EQ(test::counted_total(vm_.get(), 0, vector_of(0)),
              5 * kRounds * kSenders);
    EXPECT_EQ(target.word(), test::kUser);

    const auto* header = reinterpret_cast<ipidefer_segment*>(memory_.get());
    EXPECT_EQ(header->trace_next, 5 * kRounds * kSenders);
    std::uint64_t complete = 0;
    for (std::uint64_t i = 0; i < kRing; ++i) {
        const auto* entry = reinterpret_cast<ipidefer_trace_entry*>(
            memory_.get() + header->ring_offset + i * header->ring_entry_bytes);
        complete +=
            entry->seq % 2 == 0 && entry->seq / 2 % kRing == (i + 1) % kRing;
    }
    EXPECT_EQ(complete, kRing);
}

}  // namespace
}  // namespace ipidefer
