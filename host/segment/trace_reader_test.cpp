// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/segment/trace_reader.hpp"

#include <gtest/gtest.h>
#include <ipidefer/ipidefer.h>
#include <sys/mman.h>

#include "host/segment/open.hpp"
#include "host/segment/tests/test_vm.hpp"
#include "vmm/shm/tests/temporary_folder.hpp"

namespace ipidefer::segment {
namespace {

using test::kSyncCore;

constexpr std::uint32_t kEntries = 8;

class TraceReaderTest : public ::testing::Test {
  protected:
    TraceReaderTest() { ipidefer_set_trace(vm_.vm(), IPIDEFER_TRACE_ALL); }

    /// `count` events, each a send of a vector that nobody has bound.
    void write(unsigned count)
    {
        for (unsigned i = 0; i < count; ++i) vm_.write_icr(next_++, 0x40, {1});
    }
    std::uint64_t& seq(std::uint64_t entry)
    {
        return const_cast<std::uint64_t&>(
            open_.segment().ring_entry(entry).seq);
    }
    static std::vector<std::uint32_t> senders(const std::vector<Event>& events)
    {
        std::vector<std::uint32_t> all;
        for (const Event& event : events) all.push_back(event.entry.sender);
        return all;
    }
    using Senders = std::vector<std::uint32_t>;

    shm::test::TemporaryFolder folder_;
    test::TestVm vm_{folder_.path(), "vm", {.ring_entries = kEntries}};
    OpenVm open_{folder_.path(), "vm", true};
    std::uint32_t next_ = 0;
    std::uint64_t lost_ = 0;
};

TEST_F(TraceReaderTest, EventsAreReadOnceInOrderWithTheirFields)
{
    TraceReader reader{open_.segment(), TraceReader::From::kNow};
    EXPECT_TRUE(reader.read(lost_).empty());
    vm_.send(1, kSyncCore, {2, 3});
    const auto events = reader.read(lost_);
    ASSERT_EQ(events.size(), 3u);
    EXPECT_EQ(events[0].entry.kind, IPIDEFER_TRACE_SEND);
    EXPECT_EQ(events[0].entry.sender, 1u);
    EXPECT_EQ(events[0].mask, (std::vector<std::uint64_t>{0xc}));
    EXPECT_EQ(events[1].entry.kind, IPIDEFER_TRACE_VERDICT);
    EXPECT_EQ(events[1].entry.cpu, 2u);
    EXPECT_EQ(events[2].entry.cpu, 3u);
    EXPECT_EQ(events[2].entry.verdict, IPIDEFER_DEFERRED);
    EXPECT_TRUE(reader.read(lost_).empty());
    EXPECT_EQ(lost_, 0u);
}

TEST_F(TraceReaderTest, StartsWithTheOldestOrWithNow)
{
    write(kEntries + 3);
    TraceReader oldest{open_.segment(), TraceReader::From::kOldest};
    TraceReader now{open_.segment(), TraceReader::From::kNow};
    EXPECT_EQ(senders(oldest.read(lost_)), (Senders{3, 4, 5, 6, 7, 8, 9, 10}));
    EXPECT_TRUE(now.read(lost_).empty());
    write(1);
    EXPECT_EQ(senders(now.read(lost_)), (Senders{11}));
    EXPECT_EQ(lost_, 0u);
}

TEST_F(TraceReaderTest, OverwrittenEventsAreCountedAsLost)
{
    TraceReader reader{open_.segment(), TraceReader::From::kOldest};
    write(3 * kEntries);
    std::size_t read = 0;
    for (int i = 0; i < 4; ++i) read += reader.read(lost_).size();
    EXPECT_GT(read, 0u);
    EXPECT_GT(lost_, 2 * kEntries - 1);
    EXPECT_EQ(read + lost_, 3 * kEntries);
}

TEST_F(TraceReaderTest, EntryThatIsBeingWrittenIsWaitedFor)
{
    TraceReader reader{open_.segment(), TraceReader::From::kOldest};
    write(1);
    seq(0) = 1;
    for (int i = 0; i < 10; ++i) EXPECT_TRUE(reader.read(lost_).empty());
    seq(0) = 2;
    EXPECT_EQ(senders(reader.read(lost_)), (Senders{0}));
    EXPECT_EQ(lost_, 0u);
}

TEST_F(TraceReaderTest, GapWithLaterEventsBehindItIsGivenUpAndCounted)
{
    TraceReader reader{open_.segment(), TraceReader::From::kOldest};
    write(2);
    seq(0) = 1;  // its writer sleeps
    EXPECT_TRUE(reader.read(lost_).empty());
    EXPECT_TRUE(reader.read(lost_).empty());
    EXPECT_EQ(senders(reader.read(lost_)), (Senders{1}));
    EXPECT_EQ(lost_, 1u);
}

// On a host that is to be quiet the ring, up to 64 MiB, must not be walked.
TEST_F(TraceReaderTest, IdleReaderDoesNotTouchTheRing)
{
    TraceReader reader{open_.segment(), TraceReader::From::kOldest};
    write(3);
    EXPECT_EQ(reader.read(lost_).size(), 3u);
    auto* const ring =
        const_cast<ipidefer_trace_entry*>(&open_.segment().ring_entry(0));
    ASSERT_EQ(::mprotect(ring, 4096, PROT_NONE), 0);
    EXPECT_TRUE(reader.read(lost_).empty());
    const TraceReader now{open_.segment(), TraceReader::From::kNow};
    ASSERT_EQ(::mprotect(ring, 4096, PROT_READ | PROT_WRITE), 0);
    write(1);
    EXPECT_EQ(senders(reader.read(lost_)), (Senders{3}));
    EXPECT_EQ(lost_, 0u);
}

TEST_F(TraceReaderTest, NonsenseAboutTheNextEventEndsEveryCall)
{
    const auto* header = reinterpret_cast<const ipidefer_segment*>(
        reinterpret_cast<const char*>(&open_.policy()) - 4096);
    ASSERT_EQ(header->magic, IPIDEFER_SEGMENT_MAGIC);
    auto& next = const_cast<std::uint64_t&>(header->trace_next);
    write(2);
    for (const std::uint64_t value :
         {~std::uint64_t{0}, std::uint64_t{1} << 63, std::uint64_t{1}}) {
        next = value;
        TraceReader reader{open_.segment(), TraceReader::From::kOldest};
        for (int i = 0; i < 20; ++i)
            EXPECT_LE(reader.read(lost_).size(), kEntries);
    }
}

TEST_F(TraceReaderTest, NonsenseInTheRingEndsEveryCall)
{
    TraceReader reader{open_.segment(), TraceReader::From::kOldest};
    for (const std::uint64_t value :
         {~std::uint64_t{0}, ~std::uint64_t{1}, std::uint64_t{1}}) {
        for (std::uint64_t i = 0; i < kEntries; ++i) seq(i) = value;
        for (int i = 0; i < 20; ++i)
            EXPECT_LE(reader.read(lost_).size(), kEntries);
    }
}

TEST(TraceReaderWithoutARing, HasNothing)
{
    const shm::test::TemporaryFolder folder;
    const test::TestVm vm{folder.path(), "vm", {.ring_entries = 0}};
    const OpenVm open{folder.path(), "vm"};
    TraceReader reader{open.segment(), TraceReader::From::kOldest};
    std::uint64_t lost = 0;
    EXPECT_TRUE(reader.read(lost).empty());
}

}  // namespace
}  // namespace ipidefer::segment
