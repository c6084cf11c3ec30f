// SPDX-License-Identifier: GPL-2.0-or-later
// Trace ring: events for readers that may fall behind, stop or die.
//
// A writer takes a number, and with it an entry, and never waits: an event
// whose entry another writer is still busy with is dropped and counted. Numbers
// come from a private counter. The claim on an entry lies in the shared entry,
// so another process can spoil the trace by it, and nothing else (I7).
//
//  writer                              reader of event n
//  ------                              -----------------
//  seq: CAS(older and even -> 2n+1)    a = seq (acquire); a == 2n+2?
//  store fields (release)              load fields (acquire)
//  seq = 2n+2 (release)                seq still a?
#ifndef IPIDEFER_TRACE_RING_HPP
#define IPIDEFER_TRACE_RING_HPP

#include <ipidefer/ipidefer.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

namespace ipidefer {

class TraceRing final {
  public:
    /// @param entries     `count` entries of `entry_bytes`, zeroed
    /// @param count       power of two, or 0: everything is dropped
    /// @param dropped     where to publish the number of dropped events
    TraceRing(std::byte* entries, std::uint32_t count,
              std::uint32_t entry_bytes, std::uint64_t* dropped) noexcept
        : entries_{entries},
          count_{count},
          entry_bytes_{entry_bytes},
          dropped_{dropped}
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
    std::uint64_t* dropped_;
    alignas(64) std::atomic<std::uint64_t> next_{0};
};

}  // namespace ipidefer

#endif  // IPIDEFER_TRACE_RING_HPP
