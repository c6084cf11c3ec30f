// SPDX-License-Identifier: GPL-2.0-or-later
// What is traced, from what the base and the leases ask for (trace_leases.hpp):
// the loop, apart from who calls it, so that a test can take a lease between
// any two of its accesses.
#ifndef IPIDEFER_SETTLE_TRACE_HPP
#define IPIDEFER_SETTLE_TRACE_HPP

#include <ipidefer/ipidefer.h>

#include <atomic>
#include <cstdint>

namespace ipidefer {

/// Others that change `trace` while we do; the next tick does what is left.
inline constexpr int kMaxSettleRounds = 8;

template <template <class> class Ref>
[[nodiscard]] std::uint32_t wanted_trace(
    ipidefer_segment_policy& words) noexcept
{
    constexpr std::uint64_t kKindsMask = 0xff;
    // Ordering: RELAXED: after the acquire of `trace`, see the head of
    //   trace_leases.hpp.
    std::uint64_t kinds =
        Ref<std::uint32_t>{words.trace_base}.load(std::memory_order_relaxed);
    for (std::uint64_t& lease : words.lease)
        kinds |= Ref<std::uint64_t>{lease}.load(std::memory_order_relaxed) &
                 kKindsMask;
    return static_cast<std::uint32_t>(kinds) & IPIDEFER_TRACE_ALL;
}

/// @tparam Ref std::atomic_ref, or a test's scripted stand-in
template <template <class> class Ref>
void settle_trace_with(ipidefer_segment_policy& words) noexcept
{
    const Ref<std::uint32_t> trace{words.trace};
    // Ordering: ACQUIRE: the leases behind an "or" that is in here; pairs with
    //   the release of take_lease().
    std::uint32_t seen = trace.load(std::memory_order_acquire);
    for (int round = 0; round < kMaxSettleRounds; ++round) {
        const std::uint32_t want = wanted_trace<Ref>(words);
        if (seen == want) return;
        // Ordering: ACQ_REL: ACQUIRE as above, also of an "or" that changed
        //   nothing; RELEASE keeps what others released before. On success we
        //   look again: a lease may have been taken meanwhile.
        if (trace.compare_exchange_strong(seen, want, std::memory_order_acq_rel,
                                          std::memory_order_acquire))
            seen = want;
    }
}

}  // namespace ipidefer

#endif  // IPIDEFER_SETTLE_TRACE_HPP
