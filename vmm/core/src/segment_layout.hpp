// SPDX-License-Identifier: GPL-2.0-or-later
// Segment layout: where the parts of a segment lie, and its header.
//
// Not handled: what is in the parts (policy.hpp, counters.hpp, live_view.hpp,
// trace_ring.hpp); identity and clock, which are the VMM's.
#ifndef IPIDEFER_SEGMENT_LAYOUT_HPP
#define IPIDEFER_SEGMENT_LAYOUT_HPP

#include <ipidefer/ipidefer.h>

#include <cstddef>
#include <cstdint>

namespace ipidefer {

struct SegmentLayout {
    std::uint32_t vcpus;
    std::uint32_t ring_entries;
    std::size_t policy;
    std::size_t counters;
    std::size_t view;
    std::size_t ring;
    std::uint32_t ring_entry_bytes;
    std::size_t bytes;  // 0: arguments out of range
};

/// 64-bit words of a mask with one bit per vCPU.
[[nodiscard]] constexpr std::uint32_t mask_words(std::uint32_t vcpus) noexcept
{
    return (vcpus + 63) / 64;
}

[[nodiscard]] SegmentLayout segment_layout(std::uint32_t vcpus,
                                           std::uint32_t ring_entries) noexcept;

/// Zero all of it and write the header; state BUILDING.
void write_segment_header(std::byte* memory,
                          const SegmentLayout& layout) noexcept;

}  // namespace ipidefer

#endif  // IPIDEFER_SEGMENT_LAYOUT_HPP
