// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/core/src/segment_layout.hpp"

#include <atomic>
#include <bit>
#include <cstring>

namespace ipidefer {

static_assert(IPIDEFER_SEGMENT_MAX_VCPUS == IPIDEFER_MAX_VCPUS);
static_assert(IPIDEFER_SEGMENT_TYPED == IPIDEFER_MAX_TYPED);
static_assert(IPIDEFER_SEGMENT_SLOTS == IPI_DEFER_MAX_BINDINGS);

namespace {

constexpr std::size_t round_up(std::size_t bytes, std::size_t to) noexcept
{
    return (bytes + to - 1) / to * to;
}

}  // namespace

SegmentLayout segment_layout(std::uint32_t vcpus,
                             std::uint32_t ring_entries) noexcept
{
    SegmentLayout at{};
    if (vcpus == 0 || vcpus > IPIDEFER_MAX_VCPUS ||
        ring_entries > IPIDEFER_SEGMENT_MAX_RING ||
        (ring_entries != 0 && !std::has_single_bit(ring_entries)))
        return at;
    constexpr std::size_t kPart = IPIDEFER_SEGMENT_ALIGN;
    constexpr std::size_t kLine = 64;
    at.vcpus = vcpus;
    at.ring_entries = ring_entries;
    at.policy = round_up(sizeof(ipidefer_segment), kPart);
    at.counters = round_up(at.policy + sizeof(ipidefer_segment_policy), kPart);
    at.view =
        round_up(at.counters + std::size_t{vcpus + 1} * IPIDEFER_MAX_TYPED *
                                   sizeof(ipidefer_segment_counters),
                 kPart);
    at.ring = round_up(
        at.view + std::size_t{vcpus} * sizeof(ipidefer_segment_view), kPart);
    at.ring_entry_bytes = static_cast<std::uint32_t>(
        round_up(sizeof(ipidefer_trace_entry) +
                     mask_words(vcpus) * sizeof(std::uint64_t),
                 kLine));
    at.bytes = round_up(
        at.ring + std::size_t{ring_entries} * at.ring_entry_bytes, kPart);
    return at;
}

void write_segment_header(std::byte* memory,
                          const SegmentLayout& layout) noexcept
{
    std::memset(memory, 0, layout.bytes);
    auto& header = *reinterpret_cast<ipidefer_segment*>(memory);
    header.version = IPIDEFER_SEGMENT_VERSION;
    header.header_bytes = sizeof header;
    header.total_bytes = layout.bytes;
    header.state = IPIDEFER_SEGMENT_BUILDING;
    header.vcpus = layout.vcpus;
    header.policy_offset = layout.policy;
    header.counters_offset = layout.counters;
    header.view_offset = layout.view;
    header.ring_offset = layout.ring;
    header.ring_entries = layout.ring_entries;
    header.ring_entry_bytes = layout.ring_entry_bytes;
    // Ordering: RELEASE: who sees the magic sees the header.
    std::atomic_ref{header.magic}.store(IPIDEFER_SEGMENT_MAGIC,
                                        std::memory_order_release);
}

}  // namespace ipidefer
