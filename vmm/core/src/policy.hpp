// SPDX-License-Identifier: GPL-2.0-or-later
// Policy: what the operator allows VM-wide (kill switch, vectors, contexts).
//
// Ordering: RELAXED throughout. Each field is a flag of its own that guards no
//   other memory: a decision sees it on or off, and both are correct (I4).
//   Writers are control threads, readers the senders' vCPU threads.
//
// Not handled: which vCPUs are isolated (vm.hpp).
#ifndef IPIDEFER_POLICY_HPP
#define IPIDEFER_POLICY_HPP

#include <ipidefer/ipidefer.h>

#include <array>
#include <atomic>
#include <cstdint>

namespace ipidefer {

class Policy final {
  public:
    void set_enabled(bool enabled) noexcept
    {
        // Ordering: RELAXED: see the head of this file.
        enabled_.store(enabled, std::memory_order_relaxed);
    }

    [[nodiscard]] bool enabled() const noexcept
    {
        // Ordering: RELAXED: see the head of this file.
        return enabled_.load(std::memory_order_relaxed);
    }

    void set_contexts(std::uint32_t contexts) noexcept
    {
        // Ordering: RELAXED: see the head of this file.
        contexts_.store(contexts & IPIDEFER_CONTEXTS_ALL,
                        std::memory_order_relaxed);
    }

    [[nodiscard]] std::uint32_t contexts() const noexcept
    {
        // Ordering: RELAXED: see the head of this file.
        return contexts_.load(std::memory_order_relaxed);
    }

    void set_vector_allowed(std::uint8_t vector, bool allowed) noexcept
    {
        auto& word = denied_[vector / kBits];
        const std::uint64_t bit = std::uint64_t{1} << vector % kBits;
        // Ordering: RELAXED: see the head of this file. An RMW, since other
        //   threads may be setting other vectors of the same word.
        if (allowed)
            word.fetch_and(~bit, std::memory_order_relaxed);
        else
            word.fetch_or(bit, std::memory_order_relaxed);
    }

    [[nodiscard]] bool vector_allowed(std::uint8_t vector) const noexcept
    {
        // Ordering: RELAXED: see the head of this file.
        const auto word =
            denied_[vector / kBits].load(std::memory_order_relaxed);
        return (word >> vector % kBits & 1) == 0;
    }

  private:
    static constexpr unsigned kBits = 64;

    std::atomic<bool> enabled_{true};
    std::atomic<std::uint32_t> contexts_{IPIDEFER_CONTEXT_USER |
                                         IPIDEFER_CONTEXT_GUEST};
    std::array<std::atomic<std::uint64_t>, 256 / kBits> denied_;
};

}  // namespace ipidefer

#endif  // IPIDEFER_POLICY_HPP
