// SPDX-License-Identifier: GPL-2.0-or-later
// A reader of a segment that somebody else writes: each input is a list of
// writes to a valid segment, all made before it is opened or one between each
// of the reader's steps. Nothing may crash, hang, or reach outside the memory.
#include <ipidefer/ipidefer.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "base/failure.hpp"
#include "host/segment/trace_reader.hpp"
#include "vmm/core/tests/segment_memory.hpp"

namespace {

using ipidefer::Failure;
using namespace ipidefer::segment;

constexpr std::uint8_t kNoVector = 1;  // of an index beyond the last
constexpr std::uint32_t kVcpus = 2;
constexpr std::uint32_t kRing = 4;

/// Writes of one to eight bytes, ten bytes of input each.
class Writes {
  public:
    Writes(const std::uint8_t* data, std::size_t size)
        : data_{data}, left_{size}
    {
    }
    bool one(std::byte* memory, std::size_t bytes)
    {
        constexpr std::size_t kRecord = 10;
        if (left_ < kRecord) return false;
        std::uint16_t where = 0;
        std::memcpy(&where, data_, sizeof where);
        // The first half of the offsets are the header's.
        const std::size_t offset = where < 0x8000
                                       ? where % sizeof(ipidefer_segment)
                                       : std::size_t{where} * 2 % (bytes - 8);
        std::memcpy(memory + std::min(offset, bytes - 8), data_ + 2, 8);
        data_ += kRecord;
        left_ -= kRecord;
        return true;
    }

  private:
    const std::uint8_t* data_;
    std::size_t left_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size)
{
    if (size == 0) return 0;
    const bool before = (data[0] & 1) != 0;
    Writes writes{data + 1, size - 1};
    const std::size_t bytes = ipidefer_segment_bytes(kVcpus, kRing);
    const auto memory = ipidefer::test::make_segment_memory(bytes);
    ipidefer_vm_destroy(
        ipidefer_vm_create_in(memory.get(), bytes, kVcpus, kRing));
    while (before && writes.one(memory.get(), bytes)) {
    }
    const auto write = [&] { (void)writes.one(memory.get(), bytes); };

    try {
        const Segment segment{memory.get(), bytes};
        TraceReader reader{segment, TraceReader::From::kOldest};
        std::uint64_t lost = 0;
        for (int round = 0; round < 3; ++round) {
            write();
            (void)segment.identity();
            write();
            const auto clock = segment.clock();
            (void)clock.monotonic_ns(lost);
            (void)clock.age_ns(1, lost);
            write();
            const auto typed = segment.typed();
            for (std::size_t i = 0; i <= typed.size(); ++i)
                for (std::uint32_t cpu = 0; cpu <= segment.vcpus(); ++cpu)
                    (void)segment.counters(
                        i, i < typed.size() ? typed[i] : kNoVector, cpu);
            for (std::uint32_t cpu = 0; cpu < segment.vcpus(); ++cpu)
                if (segment.view(cpu).size() > IPIDEFER_SEGMENT_SLOTS)
                    std::abort();
            write();
            if (reader.read(lost).size() > segment.ring_entries()) std::abort();
        }
    } catch (const Failure& failure) {
        if (std::strlen(failure.what()) == 0) std::abort();
    }
    return 0;
}
