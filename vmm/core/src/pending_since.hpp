// SPDX-License-Identifier: GPL-2.0-or-later
// Pending since: how long a work bit has been set, for max_age (I4).
//
// The guest clears the bit and tells nobody, so this is told by senders, which
// set it, and by ticks, which look. A sender that takes no time forgets the old
// one. Never older than the bit, and younger by at most the time between two
// ticks.
//
// Ordering: RELAXED throughout: a time that guards no other memory. A tick that
//   is wrong delivers too early or one tick too late.
#ifndef IPIDEFER_PENDING_SINCE_HPP
#define IPIDEFER_PENDING_SINCE_HPP

#include <atomic>
#include <cstdint>

namespace ipidefer {

class PendingSince final {
  public:
    void reset() noexcept
    {
        // Ordering: RELAXED: see the head of this file.
        since_.store(0, std::memory_order_relaxed);
    }

    /// A sender has newly set the bit.
    void start(std::uint64_t now) noexcept
    {
        // Ordering: RELAXED: see the head of this file.
        since_.store(now, std::memory_order_relaxed);
    }

    /// What a tick knows before it reads the word. 0: nothing is pending.
    [[nodiscard]] std::uint64_t get() const noexcept
    {
        // Ordering: RELAXED: see the head of this file.
        return since_.load(std::memory_order_relaxed);
    }

    /// The bit was seen after get() returned `known`: from now on `since` is
    /// known, unless a sender came in between, which knows better.
    /// @return what is known then
    std::uint64_t replace(std::uint64_t known, std::uint64_t since) noexcept
    {
        // Ordering: RELAXED: see the head of this file.
        return since_.compare_exchange_strong(known, since,
                                              std::memory_order_relaxed)
                   ? since
                   : known;
    }

  private:
    std::atomic<std::uint64_t> since_{0};
};

}  // namespace ipidefer

#endif  // IPIDEFER_PENDING_SINCE_HPP
