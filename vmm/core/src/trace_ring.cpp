// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/core/src/trace_ring.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>

namespace ipidefer {
namespace {

/// The fields behind seq, as the words that they are stored by.
using Words = std::array<std::uint64_t,
                         sizeof(ipidefer_trace_entry) / sizeof(std::uint64_t)>;
static_assert(offsetof(ipidefer_trace_entry, seq) == 0);

}  // namespace

void TraceRing::write(const ipidefer_trace_entry& event,
                      std::span<const std::uint64_t> mask) noexcept
{
    // Ordering: RELAXED: numbers are distinct; entries order themselves.
    const auto take_one = [](std::uint64_t& shared) {
        return std::atomic_ref{shared}.fetch_add(1, std::memory_order_relaxed);
    };
    const std::uint64_t n = take_one(header_->trace_next);
    const auto drop = [&] { take_one(header_->trace_dropped); };
    if (count_ == 0) return drop();

    auto* at = reinterpret_cast<std::uint64_t*>(
        entries_ + std::size_t{entry_bytes_} * (n & (count_ - 1)));
    const std::atomic_ref seq{*at};
    const std::uint64_t busy = 2 * n + 1;
    // Ordering: RELAXED: only feeds the CAS.
    std::uint64_t seen = seq.load(std::memory_order_relaxed);
    // Odd: a writer that was overtaken by a whole round is still at it. Newer:
    // we are that writer.
    if ((seen & 1) != 0 || seen > busy) return drop();
    // Ordering: ACQUIRE: our fields after the previous writer's; pairs with
    //   the release below.
    if (!seq.compare_exchange_strong(seen, busy, std::memory_order_acquire,
                                     std::memory_order_relaxed))
        return drop();

    const auto words = std::bit_cast<Words>(event);
    const auto put = [at](std::size_t i, std::uint64_t word) {
        // Ordering: RELEASE: after the odd seq; pairs with the acquire loads
        //   of the readers, which then see that seq
        //   (host/segment/trace_reader.cpp). On x86 a plain store.
        std::atomic_ref{at[i]}.store(word, std::memory_order_release);
    };
    for (std::size_t i = 1; i < words.size(); ++i) put(i, words[i]);
    const std::size_t room = entry_bytes_ / sizeof(std::uint64_t);
    for (std::size_t i = words.size(); i < room; ++i)
        put(i, i - words.size() < mask.size() ? mask[i - words.size()] : 0);

    // Ordering: RELEASE: the fields before "complete"; pairs with the readers'
    //   first, acquire load of seq.
    seq.store(busy + 1, std::memory_order_release);
}

}  // namespace ipidefer
