// SPDX-License-Identifier: GPL-2.0-or-later
// Trace ring: events for readers that may fall behind, stop or die.
//
// A writer takes a number, and with it an entry, and never waits: an event
// whose entry another writer is still busy with is dropped and counted. Writers
// are the threads of the VMM and, where it decides, the host's KVM, so numbers
// come from the shared header, and the claim on an entry lies in the entry. By
// them another process can spoil the trace, and nothing else (I7): of a number
// only the entry counts that it stands for. A reader who has all events reads
// one word to know that.
//
//  writer                              reader of event n
//  ------                              -----------------
//  seq: CAS(older and even -> 2n+1)    a = seq (acquire); a == 2n+2?
//  store fields (release)              load fields (acquire)
//  seq = 2n+2 (release)                seq still a?
#ifndef IPIDEFER_TRACE_RING_HPP
#define IPIDEFER_TRACE_RING_HPP

#include <ipidefer/ipidefer.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace ipidefer {

class TraceRing final {
  public:
    /// @param entries     `count` entries of `entry_bytes`, zeroed
    /// @param count       power of two, or 0: everything is dropped
    /// @param header      has the number of the next event, and that of
    ///                    dropped ones
    TraceRing(std::byte* entries, std::uint32_t count,
              std::uint32_t entry_bytes, ipidefer_segment* header) noexcept
        : entries_{entries},
          count_{count},
          entry_bytes_{entry_bytes},
          header_{header}
    {
    }

    /// @param event everything but seq
    /// @param mask  targets; what does not fit into an entry is cut off
    void write(const ipidefer_trace_entry& event,
               std::span<const std::uint64_t> mask) noexcept;

  private:
    std::byte* entries_;
    std::uint32_t count_;
    std::uint32_t entry_bytes_;
    ipidefer_segment* header_;
};

}  // namespace ipidefer

#endif  // IPIDEFER_TRACE_RING_HPP
