// SPDX-License-Identifier: GPL-2.0-or-later
// The segment as the VM fills it: seen from outside, and written from outside.
#include <gtest/gtest.h>
#include <ipidefer/ipidefer.h>

#include <cstring>
#include <utility>
#include <vector>

#include "vmm/core/tests/guest_layout.hpp"
#include "vmm/core/tests/segment_memory.hpp"

namespace ipidefer {
namespace {

using test::kFirstWork;
using test::kUser;
using test::kVector;

constexpr std::uint32_t kManyVcpus = 70;  // more than one word of a mask
constexpr std::uint32_t kFarTarget = 66;
constexpr std::uint32_t kRing = 8;
constexpr std::uint64_t kHz = 1'000'000'000;  // one tick is a nanosecond

class SegmentTest : public ::testing::Test {
  protected:
    using Deliveries = std::vector<std::pair<std::uint32_t, std::uint8_t>>;

    void SetUp() override
    {
        ASSERT_NE(vm_, nullptr);
        ASSERT_EQ(test::bind_isolated(vm_.get(), kFarTarget, word_),
                  IPIDEFER_OK);
        ipidefer_set_tsc_hz(vm_.get(), kHz);
    }

    template <class Part>
    Part* at(std::uint64_t offset)
    {
        return reinterpret_cast<Part*>(memory_.get() + offset);
    }
    ipidefer_segment& header() { return *at<ipidefer_segment>(0); }
    ipidefer_segment_policy& policy()
    {
        return *at<ipidefer_segment_policy>(header().policy_offset);
    }
    ipidefer_segment_view& view(std::uint32_t vcpu)
    {
        return at<ipidefer_segment_view>(header().view_offset)[vcpu];
    }
    ipidefer_segment_counters& counters(std::uint32_t vcpu)
    {
        return at<ipidefer_segment_counters>(header().counters_offset)[vcpu];
    }
    ipidefer_trace_entry& entry(std::uint32_t i)
    {
        return *at<ipidefer_trace_entry>(header().ring_offset +
                                         std::uint64_t{i} *
                                             header().ring_entry_bytes);
    }
    std::uint64_t* mask(std::uint32_t i)
    {
        return reinterpret_cast<std::uint64_t*>(&entry(i) + 1);
    }

    Deliveries tick(std::uint64_t now)
    {
        Deliveries got;
        next_tick_ = ipidefer_tick(
            vm_.get(), now,
            [](void* opaque, std::uint32_t vcpu, std::uint8_t vector) {
                static_cast<Deliveries*>(opaque)->emplace_back(vcpu, vector);
            },
            &got);
        return got;
    }

    std::uint32_t word_ = kUser;
    std::size_t bytes_ = ipidefer_segment_bytes(kManyVcpus, kRing);
    test::SegmentMemory memory_ = test::make_segment_memory(bytes_);
    test::VmPtr vm_{
        ipidefer_vm_create_in(memory_.get(), bytes_, kManyVcpus, kRing)};
    std::uint64_t next_tick_ = 0;
};

// ---- Creation ---------------------------------------------------------------

TEST(SegmentCreate, ArgumentsOutOfRangeAreRefused)
{
    EXPECT_EQ(ipidefer_segment_bytes(0, 0), 0u);
    EXPECT_EQ(ipidefer_segment_bytes(IPIDEFER_MAX_VCPUS + 1, 0), 0u);
    EXPECT_EQ(ipidefer_segment_bytes(1, 3), 0u);
    EXPECT_EQ(ipidefer_segment_bytes(1, 2 * IPIDEFER_SEGMENT_MAX_RING), 0u);
    const std::size_t bytes = ipidefer_segment_bytes(1, 2);
    const auto memory = test::make_segment_memory(bytes + 64);
    EXPECT_EQ(ipidefer_vm_create_in(memory.get(), bytes - 1, 1, 2), nullptr);
    EXPECT_EQ(ipidefer_vm_create_in(memory.get() + 64, bytes, 1, 2), nullptr);
    const test::VmPtr vm{ipidefer_vm_create_in(memory.get(), bytes, 1, 2)};
    EXPECT_NE(vm, nullptr);
}

TEST_F(SegmentTest, HeaderDescribesTheParts)
{
    EXPECT_EQ(std::memcmp(memory_.get(), "IPIDSEG1", 8), 0);
    EXPECT_EQ(header().version, IPIDEFER_SEGMENT_VERSION);
    EXPECT_EQ(header().header_bytes, sizeof(ipidefer_segment));
    EXPECT_EQ(header().total_bytes, bytes_);
    EXPECT_EQ(header().state, std::uint32_t{IPIDEFER_SEGMENT_BUILDING});
    EXPECT_EQ(header().vcpus, kManyVcpus);
    EXPECT_EQ(header().ring_entries, kRing);
    EXPECT_EQ(header().ring_entry_bytes, 64u);
    EXPECT_EQ(header().typed_used, 1u);
    EXPECT_EQ(header().typed_vector[0], kVector);
}

TEST_F(SegmentTest, DestroyLeavesTheMemoryForWhoLooksOn)
{
    EXPECT_EQ(ipidefer_decide(vm_.get(), kFarTarget, kVector),
              IPIDEFER_DEFERRED);
    vm_.reset();
    EXPECT_EQ(counters(kFarTarget).verdict[IPIDEFER_DEFERRED - 1], 1u);
}

// ---- Policy -----------------------------------------------------------------

TEST_F(SegmentTest, PolicyWrittenFromOutsideTakesEffectWithTheNextDecision)
{
    policy().enabled = 0;
    EXPECT_EQ(ipidefer_decide(vm_.get(), kFarTarget, kVector),
              IPIDEFER_DELIVERED_POLICY);
    policy().enabled = 1;
    policy().isolated[1] = 0;
    EXPECT_EQ(ipidefer_decide(vm_.get(), kFarTarget, kVector),
              IPIDEFER_DELIVERED_NOT_ISOLATED);
    policy().isolated[1] = std::uint64_t{1} << (kFarTarget - 64);
    EXPECT_EQ(ipidefer_decide(vm_.get(), kFarTarget, kVector),
              IPIDEFER_DEFERRED);
    EXPECT_EQ(word_, kUser | kFirstWork);
}

// I7: the VM relies on nothing in the segment but the policy.
TEST_F(SegmentTest, GarbageEverywhereChangesThePolicyAndNoMore)
{
    std::memset(memory_.get(), 0xff, bytes_);
    EXPECT_EQ(ipidefer_vm_vcpus(vm_.get()), kManyVcpus);
    EXPECT_EQ(ipidefer_decide(vm_.get(), kFarTarget, kVector),
              IPIDEFER_DELIVERED_POLICY);  // every vector is denied
    // Find the policy without the header, which is garbage.
    std::memset(memory_.get() + IPIDEFER_SEGMENT_ALIGN, 0,
                sizeof(ipidefer_segment_policy));
    ipidefer_set_enabled(vm_.get(), true);
    ipidefer_set_contexts(vm_.get(), IPIDEFER_CONTEXTS_ALL);
    ASSERT_EQ(ipidefer_set_isolated(vm_.get(), kFarTarget, true), IPIDEFER_OK);
    ipidefer_set_trace(vm_.get(), IPIDEFER_TRACE_ALL);
    EXPECT_EQ(ipidefer_decide(vm_.get(), kFarTarget, kVector),
              IPIDEFER_DEFERRED);
    EXPECT_EQ(word_, kUser | kFirstWork);
    const ipidefer_icr icr = ipidefer_icr_x2apic(0xf1);
    const std::uint64_t targets[2] = {0, 4};
    ipidefer_trace_send(vm_.get(), 0, &icr, targets);
    EXPECT_TRUE(tick(1).empty());
    std::uint32_t other = kUser;
    EXPECT_EQ(test::bind_isolated(vm_.get(), 0, other), IPIDEFER_OK);
    EXPECT_EQ(ipidefer_decide(vm_.get(), 0, kVector), IPIDEFER_DEFERRED);
    ipidefer_unbind(vm_.get(), 0);
    ipi_defer_binding out[IPI_DEFER_MAX_BINDINGS];
    EXPECT_EQ(ipidefer_bindings(vm_.get(), kFarTarget, out), 1u);
    EXPECT_EQ(out[0].word_gpa, test::kWordGpa);
}

// ---- Live view --------------------------------------------------------------

TEST_F(SegmentTest, ViewShowsBindingsAndTheirEnd)
{
    const ipidefer_segment_view& shown = view(kFarTarget);
    EXPECT_EQ(shown.seq, 2u);
    EXPECT_EQ(shown.count, 1u);
    EXPECT_EQ(shown.slot[0].word_gpa, test::kWordGpa);
    EXPECT_EQ(shown.slot[0].vector, kVector);
    EXPECT_EQ(shown.slot[0].work_bit, kFirstWork);
    EXPECT_EQ(shown.slot[0].state_user, test::kUser);
    EXPECT_EQ(shown.slot[0].lost, 0u);
    ipidefer_lose_word(vm_.get(), kFarTarget, 0);
    EXPECT_EQ(shown.slot[0].lost, 1u);
    ipidefer_unbind(vm_.get(), kFarTarget);
    EXPECT_EQ(shown.count, 0u);
    EXPECT_EQ(shown.seq, 6u);
}

TEST_F(SegmentTest, TickShowsTheWordAndWhenItWasSeen)
{
    word_ = kUser | 0x5000'0000;
    EXPECT_TRUE(tick(1'234).empty());
    EXPECT_EQ(view(kFarTarget).slot[0].word, word_);
    EXPECT_EQ(view(kFarTarget).slot[0].seen, 1'234u);
    EXPECT_EQ(view(kFarTarget).slot[0].pending_since, 0u);
    EXPECT_EQ(word_, kUser | 0x5000'0000);
}

TEST_F(SegmentTest, AgeBeginsWithTheFirstTickAndIsNeverThatOfEarlierWork)
{
    EXPECT_EQ(ipidefer_decide(vm_.get(), kFarTarget, kVector),
              IPIDEFER_DEFERRED);
    tick(1'000);
    EXPECT_EQ(view(kFarTarget).slot[0].pending_since, 1'000u);
    tick(2'000);
    EXPECT_EQ(view(kFarTarget).slot[0].pending_since, 1'000u);
    // Done and asked for anew before anybody looks.
    word_ = kUser;
    EXPECT_EQ(ipidefer_decide(vm_.get(), kFarTarget, kVector),
              IPIDEFER_DEFERRED);
    tick(3'000);
    EXPECT_EQ(view(kFarTarget).slot[0].pending_since, 3'000u);
}

TEST_F(SegmentTest, WithALimitDeferringStartsTheAge)
{
    ipidefer_set_max_age(vm_.get(), 1'000'000'000);
    ipidefer_set_tsc_hz(vm_.get(), 1'000'000'000);
    EXPECT_EQ(ipidefer_decide(vm_.get(), kFarTarget, kVector),
              IPIDEFER_DEFERRED);
    const std::uint64_t since = view(kFarTarget).slot[0].pending_since;
    EXPECT_NE(since, 0u);
    EXPECT_EQ(ipidefer_decide(vm_.get(), kFarTarget, kVector),
              IPIDEFER_COALESCED);
    tick(since + 5);
    EXPECT_EQ(view(kFarTarget).slot[0].pending_since, since);
    word_ = kUser;
    tick(since + 6);
    EXPECT_EQ(view(kFarTarget).slot[0].pending_since, 0u);
}

// ---- Max age ----------------------------------------------------------------

class SegmentAgeTest : public SegmentTest {
  protected:
    void SetUp() override
    {
        SegmentTest::SetUp();
        ipidefer_set_max_age(vm_.get(), 1'000);
        word_ = kUser | kFirstWork;
        EXPECT_TRUE(tick(10'000).empty());  // seen first at 10'000
    }
    const Deliveries kOnce{{kFarTarget, kVector}};
};

TEST_F(SegmentAgeTest, WorkOlderThanTheLimitIsDeliveredAndItsBitStays)
{
    EXPECT_TRUE(tick(10'999).empty());
    EXPECT_EQ(tick(11'000), kOnce);
    EXPECT_EQ(word_, kUser | kFirstWork);  // I2
}

TEST_F(SegmentAgeTest, DeliveryIsRepeatedOncePerAgeOnly)
{
    EXPECT_EQ(tick(11'000), kOnce);
    EXPECT_TRUE(tick(11'500).empty());
    EXPECT_EQ(tick(12'000), kOnce);
    EXPECT_EQ(ipidefer_expired(vm_.get(), kFarTarget, kVector), 2u);
}

TEST_F(SegmentAgeTest, DeliveryIsNoVerdict)
{
    EXPECT_EQ(tick(11'000), kOnce);
    EXPECT_EQ(test::counted_total(vm_.get(), kFarTarget, kVector), 0u);  // I1
    EXPECT_EQ(counters(kFarTarget).max_age, 1u);
}

TEST_F(SegmentAgeTest, FlushedWorkIsNotDelivered)
{
    word_ = kUser;
    EXPECT_TRUE(tick(20'000).empty());
}

TEST_F(SegmentAgeTest, WithoutALimitNothingIsDelivered)
{
    ipidefer_set_max_age(vm_.get(), 0);
    EXPECT_TRUE(tick(UINT64_MAX).empty());
    EXPECT_EQ(next_tick_, 100'000'000u);
}

TEST_F(SegmentAgeTest, LostWordIsNotLookedAt)
{
    ipidefer_lose_word(vm_.get(), kFarTarget, 0);
    EXPECT_TRUE(tick(20'000).empty());
}

// Otherwise each tick would interrupt every vCPU that has work.
TEST_F(SegmentAgeTest, WhoDecidesElsewhereTellsWhenItRecorded)
{
    // Done meanwhile, and recorded anew: the age is that of the new work.
    ipidefer_recorded(vm_.get(), kFarTarget, 0, 10'500);
    EXPECT_TRUE(tick(11'000).empty());
    ipidefer_recorded(vm_.get(), kFarTarget, 0, 10'500);
    EXPECT_EQ(tick(11'500), kOnce);
    // Told again, it is not delivered again before another max_age is over.
    ipidefer_recorded(vm_.get(), kFarTarget, 0, 10'500);
    EXPECT_TRUE(tick(11'600).empty());
    ipidefer_recorded(vm_.get(), kFarTarget, 1, 10'500);  // no such binding
    ipidefer_recorded(vm_.get(), UINT32_MAX, 0, 10'500);
}

TEST_F(SegmentTest, TypedVectorsAreThoseThatAreBoundNow)
{
    std::array<std::uint8_t, IPIDEFER_SEGMENT_TYPED> typed;
    ipidefer_typed_vectors(vm_.get(), typed.data());
    EXPECT_EQ(typed[0], kVector);
    EXPECT_EQ(typed[1], 0);
    ipidefer_unbind(vm_.get(), kFarTarget);
    ipidefer_typed_vectors(vm_.get(), typed.data());
    EXPECT_EQ(typed[0], 0);
}

TEST_F(SegmentAgeTest, WithoutAFrequencyNothingHasAnAge)
{
    ipidefer_set_tsc_hz(vm_.get(), UINT64_MAX);
    EXPECT_TRUE(tick(UINT64_MAX / 2).empty());
    ipidefer_set_tsc_hz(vm_.get(), kHz);
    EXPECT_EQ(tick(UINT64_MAX / 2), kOnce);
}

TEST_F(SegmentAgeTest, WorkOfAVcpuThatIsInItsKernelIsNotDelivered)
{
    word_ = test::kWatching | kUser | kFirstWork;
    EXPECT_TRUE(tick(20'000).empty());
    word_ = kUser | kFirstWork;
    EXPECT_EQ(tick(20'001), kOnce);
}

TEST_F(SegmentAgeTest, ClockThatRanBackwardsIsNoAge)
{
    EXPECT_TRUE(tick(1).empty());
}

TEST_F(SegmentAgeTest, LongestAgeNeverComes)
{
    ipidefer_set_max_age(vm_.get(), UINT64_MAX);
    EXPECT_TRUE(tick(UINT64_MAX).empty());
}

// I7: the limit is whatever another process writes.
TEST_F(SegmentAgeTest, TicksStayBetweenOneAndAHundredMilliseconds)
{
    policy().max_age_ns = 1;
    EXPECT_EQ(tick(20'000), kOnce);
    EXPECT_EQ(next_tick_, 1'000'000u);
    policy().max_age_ns = 40'000'000;
    tick(20'001);
    EXPECT_EQ(next_tick_, 10'000'000u);
    policy().max_age_ns = UINT64_MAX;
    tick(20'002);
    EXPECT_EQ(next_tick_, 100'000'000u);
}

// ---- Trace ------------------------------------------------------------------

TEST_F(SegmentTest, NothingIsTracedUnlessAsked)
{
    EXPECT_FALSE(ipidefer_tracing(vm_.get(), IPIDEFER_TRACE_ALL));
    EXPECT_EQ(ipidefer_decide(vm_.get(), kFarTarget, kVector),
              IPIDEFER_DEFERRED);
    EXPECT_EQ(entry(0).seq, 0u);
}

TEST_F(SegmentTest, SendIsTracedWithAllOfItsMask)
{
    policy().trace = IPIDEFER_TRACE_SEND;
    EXPECT_TRUE(ipidefer_tracing(vm_.get(), IPIDEFER_TRACE_SEND));
    EXPECT_FALSE(ipidefer_tracing(vm_.get(), IPIDEFER_TRACE_VERDICT));
    const ipidefer_icr icr = ipidefer_icr_x2apic(0x0000'0042'0000'04f3);
    const std::uint64_t targets[2] = {0x8000'0000'0000'0001, 0x4};
    ipidefer_trace_send(vm_.get(), 5, &icr, targets);
    const ipidefer_trace_entry& e = entry(0);
    EXPECT_EQ(e.seq, 2u);
    EXPECT_NE(e.tsc, 0u);
    EXPECT_EQ(e.kind, IPIDEFER_TRACE_SEND);
    EXPECT_EQ(e.sender, 5u);
    EXPECT_EQ(e.cpu, IPIDEFER_NO_VCPU);
    EXPECT_EQ(e.vector, 0xf3);
    EXPECT_EQ(e.delivery, IPIDEFER_NMI);
    EXPECT_EQ(e.dest, 0x42u);
    EXPECT_EQ(e.flags & IPIDEFER_TRACE_X2APIC, IPIDEFER_TRACE_X2APIC);
    EXPECT_EQ(mask(0)[0], targets[0]);
    EXPECT_EQ(mask(0)[1], targets[1]);
}

TEST_F(SegmentTest, VerdictIsTracedWithSenderAndContext)
{
    policy().trace = IPIDEFER_TRACE_VERDICT;
    EXPECT_EQ(ipidefer_decide_from(vm_.get(), 3, kFarTarget, kVector),
              IPIDEFER_DEFERRED);
    word_ = kUser | test::kWatching;
    EXPECT_EQ(ipidefer_decide(vm_.get(), kFarTarget, kVector),
              IPIDEFER_DELIVERED_IN_KERNEL);
    word_ = test::kGuest;
    policy().enabled = 0;
    EXPECT_EQ(ipidefer_decide(vm_.get(), kFarTarget, kVector),
              IPIDEFER_DELIVERED_POLICY);
    EXPECT_EQ(ipidefer_decide(vm_.get(), 0, kVector),
              IPIDEFER_DELIVERED_NOT_BOUND);
    EXPECT_EQ(entry(0).sender, 3u);
    EXPECT_EQ(entry(0).cpu, kFarTarget);
    EXPECT_EQ(entry(0).vector, kVector);
    EXPECT_EQ(entry(0).verdict, IPIDEFER_DEFERRED);
    EXPECT_EQ(entry(0).context, IPIDEFER_TRACE_USER);
    EXPECT_EQ(entry(0).word, kUser);
    EXPECT_EQ(entry(1).sender, IPIDEFER_NO_VCPU);
    EXPECT_EQ(entry(1).context, IPIDEFER_TRACE_KERNEL);
    EXPECT_EQ(entry(2).verdict, IPIDEFER_DELIVERED_POLICY);
    EXPECT_EQ(entry(2).context, IPIDEFER_TRACE_GUEST);
    EXPECT_EQ(entry(3).context, IPIDEFER_TRACE_UNKNOWN);
}

TEST_F(SegmentAgeTest, DeliveryForAgeIsTracedApart)
{
    ipidefer_set_trace(vm_.get(), IPIDEFER_TRACE_VERDICT);
    EXPECT_EQ(tick(11'000), kOnce);
    EXPECT_EQ(entry(0).verdict, IPIDEFER_TRACE_MAX_AGE);
    EXPECT_EQ(entry(0).cpu, kFarTarget);
    EXPECT_EQ(entry(0).context, IPIDEFER_TRACE_USER);
}

TEST_F(SegmentTest, RingWrapsAndNumbersItsEvents)
{
    policy().trace = IPIDEFER_TRACE_VERDICT;
    for (unsigned i = 0; i < kRing + 3; ++i)
        (void)ipidefer_decide(vm_.get(), kFarTarget, kVector);
    for (std::uint32_t i = 0; i < kRing; ++i)
        EXPECT_EQ(entry(i).seq, 2 * (i < 3 ? i + kRing : i) + 2u);
    EXPECT_EQ(header().trace_dropped, 0u);
}

TEST_F(SegmentTest, EntryThatIsStillBeingWrittenIsDroppedAndCounted)
{
    policy().trace = IPIDEFER_TRACE_VERDICT;
    for (unsigned i = 0; i < kRing; ++i)
        (void)ipidefer_decide(vm_.get(), kFarTarget, kVector);
    entry(0).seq = 1;  // its writer sleeps
    const ipidefer_trace_entry before = entry(0);
    (void)ipidefer_decide(vm_.get(), kFarTarget, kVector);
    EXPECT_EQ(std::memcmp(&before, &entry(0), sizeof before), 0);
    EXPECT_EQ(header().trace_dropped, 1u);
    // Dropped or not, each has a number.
    EXPECT_EQ(header().trace_next, 9u);
}

TEST_F(SegmentTest, WriterThatWasOvertakenByARoundIsDroppedAndCounted)
{
    policy().trace = IPIDEFER_TRACE_VERDICT;
    entry(0).seq = 2 * kRing + 2;  // the next round's event is there already
    (void)ipidefer_decide(vm_.get(), kFarTarget, kVector);
    EXPECT_EQ(entry(0).seq, 2 * kRing + 2u);
    EXPECT_EQ(header().trace_dropped, 1u);
}

// The host's KVM writes events too, so the number is shared with it, and with
// whoever else has the segment.
TEST_F(SegmentTest, NumberOfTheNextEventMayBeAnything)
{
    policy().trace = IPIDEFER_TRACE_VERDICT;
    header().trace_next = kRing * 5 + 2;
    (void)ipidefer_decide(vm_.get(), kFarTarget, kVector);
    EXPECT_EQ(entry(2).seq, 2 * (kRing * 5 + 2) + 2u);
    header().trace_next = UINT64_MAX;
    (void)ipidefer_decide(vm_.get(), kFarTarget, kVector);
    EXPECT_EQ(header().trace_next, 0u);
    EXPECT_EQ(header().trace_dropped, 0u);
    EXPECT_EQ(entry(kRing - 1).verdict, IPIDEFER_COALESCED);
}

TEST(SegmentRing, WithoutARingEventsAreDroppedAndCounted)
{
    const std::size_t bytes = ipidefer_segment_bytes(1, 0);
    const auto memory = test::make_segment_memory(bytes);
    const test::VmPtr vm{ipidefer_vm_create_in(memory.get(), bytes, 1, 0)};
    ASSERT_NE(vm, nullptr);
    const ipidefer_icr icr = ipidefer_icr_x2apic(0xf1);
    const std::uint64_t targets = 1;
    ipidefer_trace_send(vm.get(), 0, &icr, &targets);
    EXPECT_EQ(reinterpret_cast<ipidefer_segment*>(memory.get())->trace_dropped,
              1u);
}

}  // namespace
}  // namespace ipidefer
