// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/segment/segment.hpp"

#include <gtest/gtest.h>
#include <ipidefer/ipidefer.h>

#include <cstring>

#include "base/failure_testing.hpp"
#include "vmm/core/tests/segment_memory.hpp"

namespace ipidefer::segment {
namespace {

constexpr std::uint32_t kVcpus = 3;
constexpr std::uint32_t kRing = 4;

/// A segment without a VM, to be broken in one field.
class SegmentCheck : public ::testing::Test {
  protected:
    SegmentCheck()
    {
        ipidefer_vm_destroy(
            ipidefer_vm_create_in(memory_, bytes_, kVcpus, kRing));
    }

    std::string refusal() { return refusal(bytes_); }
    std::string refusal(std::size_t bytes)
    {
        return refusal_of([&] { return Segment{memory_, bytes}; });
    }

    const std::size_t bytes_ = ipidefer_segment_bytes(kVcpus, kRing);
    const ipidefer::test::SegmentMemory owner_ =
        ipidefer::test::make_segment_memory(bytes_);
    void* const memory_ = owner_.get();
    ipidefer_segment& header_ = *static_cast<ipidefer_segment*>(memory_);
};

TEST_F(SegmentCheck, FreshOneIsAccepted)
{
    const Segment segment{memory_, bytes_};
    EXPECT_EQ(segment.vcpus(), kVcpus);
    EXPECT_EQ(segment.ring_entries(), kRing);
    EXPECT_TRUE(segment.typed().empty());
    EXPECT_TRUE(segment.view(0).empty());
    EXPECT_EQ(segment.clock().tsc_hz, 0u);
}

TEST_F(SegmentCheck, EachTruncationIsNamed)
{
    EXPECT_EQ(refusal(0),
              "not a segment: it has 0 bytes, its header needs 448");
    EXPECT_EQ(refusal(bytes_ - 1), "not a segment: it is truncated to " +
                                       std::to_string(bytes_ - 1) + " of " +
                                       std::to_string(bytes_) + " bytes");
    for (std::size_t bytes = 0; bytes < bytes_; bytes += 61)
        EXPECT_NE(refusal(bytes), "");
}

TEST_F(SegmentCheck, ZeroedMemoryIsNone)
{
    std::memset(memory_, 0, bytes_);
    EXPECT_EQ(refusal(), "not a segment: it does not begin with IPIDSEG1");
}

TEST_F(SegmentCheck, OtherVersionIsNamed)
{
    header_.version = 3;
    EXPECT_EQ(
        refusal(),
        "not a segment: its version is 3, this program knows 2: its VMM is "
        "newer, use the tools that came with it");
    header_.version = 1;
    EXPECT_EQ(
        refusal(),
        "not a segment: its version is 1, this program knows 2: its VMM is "
        "older, use the tools that came with it");
}

TEST_F(SegmentCheck, PartOutsideTheMemoryIsRefused)
{
    header_.counters_offset = bytes_ - IPIDEFER_SEGMENT_ALIGN;
    EXPECT_NE(refusal().find("its counters, 16384 bytes at "),
              std::string::npos);
    header_.counters_offset = ~std::uint64_t{0} << 12;
    EXPECT_NE(refusal(), "");
    header_.counters_offset = 0;
    EXPECT_NE(refusal(), "");
    header_.counters_offset = IPIDEFER_SEGMENT_ALIGN + 8;
    EXPECT_NE(refusal().find("is not aligned"), std::string::npos);
}

TEST_F(SegmentCheck, EveryNumberIsHeldAgainstItsLimit)
{
    const ipidefer_segment good = header_;
    header_.vcpus = 0;
    EXPECT_NE(refusal(), "");
    header_.vcpus = IPIDEFER_SEGMENT_MAX_VCPUS + 1;
    EXPECT_NE(refusal(), "");
    header_ = good;
    header_.vcpus = IPIDEFER_SEGMENT_MAX_VCPUS;  // needs larger entries
    EXPECT_NE(refusal(), "");
    header_ = good;
    header_.ring_entries = 3;
    EXPECT_NE(refusal(), "");
    header_.ring_entries = IPIDEFER_SEGMENT_MAX_RING;  // beyond the memory
    EXPECT_NE(refusal(), "");
    header_ = good;
    header_.ring_entry_bytes = 40;
    EXPECT_NE(refusal(), "");
    header_.ring_entry_bytes = 60;
    EXPECT_NE(refusal(), "");
    header_ = good;
    header_.header_bytes = sizeof header_ - 1;
    EXPECT_NE(refusal(), "");
    header_.header_bytes = IPIDEFER_SEGMENT_ALIGN + 1;
    EXPECT_NE(refusal(), "");
    header_.header_bytes = 4096;  // of a VMM that knows more fields
    EXPECT_EQ(refusal(), "");
    header_ = good;
    EXPECT_EQ(refusal(), "");
}

TEST_F(SegmentCheck, LaterChangesOfTheHeaderMoveNothing)
{
    const Segment segment{memory_, bytes_};
    const auto* policy = &segment.policy();
    std::memset(memory_, 0xff, sizeof(ipidefer_segment));
    EXPECT_EQ(segment.vcpus(), kVcpus);
    EXPECT_EQ(&segment.policy(), policy);
    EXPECT_LE(segment.typed().size(), std::size_t{IPIDEFER_SEGMENT_TYPED});
    EXPECT_EQ(segment.identity().name.size(),
              std::size_t{IPIDEFER_SEGMENT_NAME});
}

TEST_F(SegmentCheck, CountersOfAVectorThatHasGivenWayAreNotThoseOfAnother)
{
    const Segment segment{memory_, bytes_};
    header_.typed_used = 1;
    header_.typed_vector[0] = 0xf5;
    auto& line = *reinterpret_cast<ipidefer_segment_counters*>(
        static_cast<std::byte*>(memory_) + header_.counters_offset);
    line.verdict[0] = 7;
    EXPECT_EQ(segment.counters(0, 0xf5, 0).sum(), 7u);
    EXPECT_EQ(segment.counters(0, 0xea, 0).sum(), 0u);
    header_.typed_vector[0] = 0;  // it is being cleared
    EXPECT_EQ(segment.counters(0, 0xf5, 0).sum(), 0u);
    EXPECT_EQ(segment.counters(0, 0, 0).sum(), 0u);
}

TEST_F(SegmentCheck, SequenceThatStaysOddIsAFailureNotAHang)
{
    const Segment segment{memory_, bytes_};
    header_.clock_seq = 1;
    EXPECT_THROW((void)segment.clock(), Failure);
}

TEST(Clock, TimeIsCountedFromTheSampleBothWays)
{
    Clock clock;
    clock.sample = {1'000'000, 5'000'000'000, 0};
    clock.tsc_hz = 2'000'000'000;
    EXPECT_EQ(clock.monotonic_ns(1'000'000), 5'000'000'000);
    EXPECT_EQ(clock.monotonic_ns(1'002'000), 5'000'001'000);
    EXPECT_EQ(clock.monotonic_ns(998'000), 4'999'999'000);
    EXPECT_EQ(clock.age_ns(1'000'000, 1'002'000), 1'000u);
    EXPECT_EQ(clock.age_ns(2, 1), 0u);
}

TEST(Clock, WithoutAFrequencyThereIsNoTime)
{
    const Clock clock;
    EXPECT_FALSE(clock.monotonic_ns(1));
    EXPECT_FALSE(clock.age_ns(1, 2));
}

}  // namespace
}  // namespace ipidefer::segment
