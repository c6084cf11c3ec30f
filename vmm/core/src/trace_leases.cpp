// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/core/src/trace_leases.hpp"

#include <atomic>

#include "vmm/core/src/settle_trace.hpp"
#include "vmm/core/src/tsc.hpp"

namespace ipidefer {
namespace {

constexpr unsigned kHolderShift = 32;
constexpr std::uint64_t kBeat = 0x100;
constexpr std::uint64_t kBeatMask = 0xffff'ff00;

bool replace(std::uint64_t& lease, std::uint64_t from,
             std::uint64_t to) noexcept
{
    // Ordering: RELAXED: `trace`, which is changed afterwards, publishes it.
    return std::atomic_ref{lease}.compare_exchange_strong(
        from, to, std::memory_order_relaxed);
}

}  // namespace

void settle_trace(ipidefer_segment_policy& words) noexcept
{
    settle_trace_with<std::atomic_ref>(words);
}

void TraceLeases::tick(ipidefer_segment_policy& words, std::uint64_t now,
                       std::uint64_t hz) noexcept
{
    // The fastest in place of one that is not known: leases then last longer.
    const std::uint64_t limit =
        IPIDEFER_LEASE_NS / kNsPerSecond * (hz == 0 ? kFastestTsc : hz);
    static_assert(IPIDEFER_LEASE_NS % kNsPerSecond == 0);
    for (std::size_t i = 0; i < seen_.size(); ++i) {
        Seen& seen = seen_[i];
        // Ordering: RELAXED: a word of its own.
        const std::uint64_t word =
            std::atomic_ref{words.lease[i]}.load(std::memory_order_relaxed);
        if (word == 0) {
            seen.word = 0;
        } else if (word != seen.word || now < seen.since) {
            seen = {word, now};
        } else if (now - seen.since >= limit) {
            (void)replace(words.lease[i], word, 0);
            seen.word = 0;
        }
    }
    settle_trace(words);
}

bool take_lease(ipidefer_segment_policy& words, std::uint32_t kinds,
                std::uint32_t holder, ipidefer_lease& lease) noexcept
{
    kinds &= IPIDEFER_TRACE_ALL;
    const std::uint64_t mine =
        std::uint64_t{holder == 0 ? 1 : holder} << kHolderShift | kinds;
    for (std::uint32_t slot = 0; slot < IPIDEFER_SEGMENT_LEASES; ++slot) {
        if (!replace(words.lease[slot], 0, mine)) continue;
        // Ordering: ACQ_REL: RELEASE: the lease before what is traced; pairs
        //   with settle_trace(). ACQUIRE keeps the order among takers.
        std::atomic_ref{words.trace}.fetch_or(kinds, std::memory_order_acq_rel);
        lease = {mine, slot};
        return true;
    }
    return false;
}

bool renew_lease(ipidefer_segment_policy& words, ipidefer_lease& lease) noexcept
{
    const std::uint64_t next =
        (lease.word & ~kBeatMask) | ((lease.word + kBeat) & kBeatMask);
    if (!replace(words.lease[lease.slot], lease.word, next)) return false;
    lease.word = next;
    return true;
}

void end_lease(ipidefer_segment_policy& words, ipidefer_lease& lease) noexcept
{
    (void)replace(words.lease[lease.slot], lease.word, 0);
    lease.word = 0;
    settle_trace(words);
}

}  // namespace ipidefer
