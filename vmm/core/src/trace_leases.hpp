// SPDX-License-Identifier: GPL-2.0-or-later
// Trace leases: who wants events, and until when. A reader takes a lease,
// renews it while it lives, and ends it; a lease that is not renewed is ended
// by the VM's tick. So a reader that is killed leaves the VM as it was, and one
// that ends does not blind another.
//
// Each lease is one word, which changes by compare-and-swap as a whole: a
// holder that slept too long cannot touch the lease of who came after it. What
// is traced is a word of its own, so that a vCPU that sends an IPI loads one:
//
//  who takes                           who ends, or the tick
//  ---------                           ---------------------
//  lease: CAS(0 -> mine)               seen = trace
//  trace |= kinds                      want = base | kinds of all leases
//                                      trace: CAS(seen -> want), and look again
//
// A lease that the right side has not seen is followed by the "or" on the left:
// it comes after the CAS, and stays; or before it, and then the second look
// sees the lease.
//
// The words lie in memory that others may write (I7): any value of them traces
// something or nothing, and no more. All loops are bounded.
#ifndef IPIDEFER_TRACE_LEASES_HPP
#define IPIDEFER_TRACE_LEASES_HPP

#include <ipidefer/ipidefer.h>

#include <array>
#include <cstdint>

namespace ipidefer {

/// Make `trace` say what the base and the leases ask for.
void settle_trace(ipidefer_segment_policy& words) noexcept;

/// ipidefer_lease_take(), ipidefer_lease_renew() and ipidefer_lease_end().
[[nodiscard]] bool take_lease(ipidefer_segment_policy& words,
                              std::uint32_t kinds, std::uint32_t holder,
                              ipidefer_lease& lease) noexcept;
[[nodiscard]] bool renew_lease(ipidefer_segment_policy& words,
                               ipidefer_lease& lease) noexcept;
void end_lease(ipidefer_segment_policy& words, ipidefer_lease& lease) noexcept;

/// What the VM remembers of the leases between its ticks.
class TraceLeases final {
  public:
    /// End the leases that have not changed for IPIDEFER_LEASE_NS.
    /// @param now TSC
    /// @param hz  how fast it counts; 0: not known
    void tick(ipidefer_segment_policy& words, std::uint64_t now,
              std::uint64_t hz) noexcept;

  private:
    struct Seen {
        std::uint64_t word;
        std::uint64_t since;  // TSC
    };
    std::array<Seen, IPIDEFER_SEGMENT_LEASES> seen_{};
};

}  // namespace ipidefer

#endif  // IPIDEFER_TRACE_LEASES_HPP
