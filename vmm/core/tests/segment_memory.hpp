// SPDX-License-Identifier: GPL-2.0-or-later
// Memory for a VM's segment, as ipidefer_vm_create_in() wants it.
#ifndef IPIDEFER_TESTS_SEGMENT_MEMORY_HPP
#define IPIDEFER_TESTS_SEGMENT_MEMORY_HPP

#include <ipidefer/segment.h>

#include <cstddef>
#include <memory>
#include <new>

namespace ipidefer::test {

struct FreeSegment {
    void operator()(std::byte* memory) const
    {
        ::operator delete (memory, std::align_val_t{IPIDEFER_SEGMENT_ALIGN});
    }
};
using SegmentMemory = std::unique_ptr<std::byte, FreeSegment>;

inline SegmentMemory make_segment_memory(std::size_t bytes)
{
    return SegmentMemory{static_cast<std::byte*>(
        ::operator new (bytes, std::align_val_t{IPIDEFER_SEGMENT_ALIGN}))};
}

}  // namespace ipidefer::test

#endif  // IPIDEFER_TESTS_SEGMENT_MEMORY_HPP
