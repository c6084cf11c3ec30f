// SPDX-License-Identifier: GPL-2.0-or-later
// Writers on many threads against a reader that falls behind, in a ring that is
// far too small. Also under ThreadSanitizer.
#include <gtest/gtest.h>
#include <ipidefer/ipidefer.h>

#include <array>
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "host/segment/trace_reader.hpp"
#include "vmm/core/tests/segment_memory.hpp"

namespace ipidefer::segment {
namespace {

constexpr unsigned kWriters = 3;
constexpr std::uint32_t kEach = 20'000;
constexpr std::uint32_t kVcpus = 256;  // entries of more than a cache line
constexpr std::uint32_t kRing = 4;
constexpr std::uint32_t kSmallMask = 4;

struct Destroy {
    void operator()(ipidefer_vm* vm) const { ipidefer_vm_destroy(vm); }
};

/// Every field of event `i` of writer `w` can be told from every other.
void write(ipidefer_vm* vm, std::uint32_t w, std::uint32_t i)
{
    ipidefer_icr icr{};
    icr.dest = w * kEach + i;
    icr.vector = static_cast<std::uint8_t>(icr.dest);
    std::array<std::uint64_t, kSmallMask> mask;
    mask.fill(icr.dest);
    ipidefer_trace_send(vm, icr.dest, &icr, mask.data());
}

bool whole(const Event& event)
{
    const std::uint32_t tag = event.entry.dest;
    bool same = event.entry.sender == tag && tag < kWriters * kEach &&
                event.entry.vector == static_cast<std::uint8_t>(tag);
    for (const std::uint64_t word : event.mask) same = same && word == tag;
    return same;
}

TEST(TraceRace, EveryEventIsReadWholeOrCountedAsLost)
{
    const std::size_t bytes = ipidefer_segment_bytes(kVcpus, kRing);
    const auto memory = test::make_segment_memory(bytes);
    const std::unique_ptr<ipidefer_vm, Destroy> vm{
        ipidefer_vm_create_in(memory.get(), bytes, kVcpus, kRing)};
    ASSERT_NE(vm, nullptr);
    const Segment segment{memory.get(), bytes};
    TraceReader reader{segment, TraceReader::From::kOldest};

    std::atomic<unsigned> running{kWriters};
    std::vector<std::thread> writers;
    for (unsigned w = 0; w < kWriters; ++w)
        writers.emplace_back([&, w] {
            for (std::uint32_t i = 0; i < kEach; ++i) write(vm.get(), w, i);
            running.fetch_sub(1, std::memory_order_release);
        });

    std::uint64_t read = 0;
    std::uint64_t lost = 0;
    std::uint64_t torn = 0;
    std::uint64_t out_of_order = 0;
    std::uint64_t last = 0;
    const auto drain = [&] {
        for (const Event& event : reader.read(lost)) {
            if (!whole(event)) ++torn;
            if (read != 0 && event.number <= last) ++out_of_order;
            last = event.number;
            ++read;
        }
    };
    while (running.load(std::memory_order_acquire) != 0) drain();
    for (std::thread& writer : writers) writer.join();
    // Some more calls, for gaps that are only then given up.
    for (std::uint32_t i = 0; i < 4 * kRing; ++i) drain();

    EXPECT_EQ(torn, 0u);
    EXPECT_EQ(out_of_order, 0u);
    EXPECT_GT(read, 0u);
    // What was dropped last of all leaves no gap that can be seen.
    EXPECT_LE(read + lost, std::uint64_t{kWriters} * kEach);
    EXPECT_GE(read + lost + segment.trace_dropped(),
              std::uint64_t{kWriters} * kEach);
}

}  // namespace
}  // namespace ipidefer::segment
