// SPDX-License-Identifier: GPL-2.0-or-later
// What other threads send to a vCPU: fixed interrupts, NMI, INIT and SIPI. The
// vCPU's thread takes all of it before it enters the guest. Lock-free; any
// number of senders, one receiver.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>

#include "vmm/kvm/src/vector_set.hpp"

namespace ipidefer::vmm {

class Inbox {
  public:
    struct Events {
        bool nmi = false;
        bool init = false;
        std::optional<std::uint8_t> sipi{};  // start page; after INIT, if both
    };

    void post_fixed(std::uint8_t vector) noexcept
    {
        // Ordering: RELEASE, so that the handler sees what the sender stored
        // before its IPI; pairs with the ACQUIRE in take_fixed().
        fixed_[vector / 32u].fetch_or(std::uint32_t{1} << (vector % 32u),
                                      std::memory_order_release);
    }
    void post_nmi() noexcept
    {
        // Ordering: as post_fixed(); pairs with take_events().
        events_.fetch_or(kNmi, std::memory_order_release);
    }
    /// A SIPI that waits was sent before this INIT, and is lost with the rest.
    void post_init() noexcept
    {
        // Ordering: as post_fixed(); RELAXED on failure only feeds the retry.
        auto seen = events_.load(std::memory_order_relaxed);
        while (!events_.compare_exchange_weak(seen, (seen & kNmi) | kInit,
                                              std::memory_order_release,
                                              std::memory_order_relaxed)) {
        }
    }
    /// The first one counts: SDM vol. 3A 9.4.4.1 has it sent twice.
    void post_sipi(std::uint8_t page) noexcept
    {
        // Ordering: as post_init().
        auto seen = events_.load(std::memory_order_relaxed);
        while ((seen & kSipi) == 0 &&
               !events_.compare_exchange_weak(seen, seen | kSipi | page,
                                              std::memory_order_release,
                                              std::memory_order_relaxed)) {
        }
    }

    template <typename Accept>
    void take_fixed(Accept accept)
    {
        for (unsigned i = 0; i < VectorSet::kRegisters; ++i) {
            // Ordering: RELAXED look; what it misses comes with a kick, and is
            // taken in the next round.
            if (fixed_[i].load(std::memory_order_relaxed) == 0) continue;
            // Ordering: ACQUIRE, pairs with post_fixed().
            const std::uint32_t bits =
                fixed_[i].exchange(0, std::memory_order_acquire);
            for (unsigned b = 0; b < 32; ++b)
                if ((bits >> b & 1) != 0)
                    accept(static_cast<std::uint8_t>(32 * i + b));
        }
    }
    [[nodiscard]] Events take_events() noexcept
    {
        Events events;
        // Ordering: as in take_fixed().
        if (events_.load(std::memory_order_relaxed) == 0) return events;
        const std::uint32_t bits =
            events_.exchange(0, std::memory_order_acquire);
        events.nmi = (bits & kNmi) != 0;
        events.init = (bits & kInit) != 0;
        if ((bits & kSipi) != 0)
            events.sipi = static_cast<std::uint8_t>(bits & kPage);
        return events;
    }

  private:
    static constexpr std::uint32_t kPage = 0xff;
    static constexpr std::uint32_t kSipi = 1u << 8;
    static constexpr std::uint32_t kInit = 1u << 9;
    static constexpr std::uint32_t kNmi = 1u << 10;

    std::array<std::atomic<std::uint32_t>, VectorSet::kRegisters> fixed_{};
    std::atomic<std::uint32_t> events_{0};
};

}  // namespace ipidefer::vmm
