// SPDX-License-Identifier: GPL-2.0-or-later
// How a run ends. Whoever is first decides; all vCPUs see that it is over, and
// the main thread is woken.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>

#include "base/unique_fd.hpp"

namespace ipidefer::vmm {

struct Outcome {
    enum class Kind {
        kExit,         // the guest wrote to its exit port
        kGuestFailed,  // it crashed, or KVM could not go on
        kTimeout,
        kSignal,  // we were told to stop
        kBroken,  // a system call of ours failed
    };
    Kind kind = Kind::kExit;
    std::uint32_t status = 0;  // of kExit; 0 is success
    std::string text;
};

[[nodiscard]] const char* name(Outcome::Kind kind) noexcept;

class Ending {
  public:
    Ending();

    /// Only the first one counts.
    void set(Outcome outcome);
    [[nodiscard]] bool is_set() const noexcept
    {
        // Ordering: ACQUIRE pairs with set(); what is guarded is outcome_.
        return set_.load(std::memory_order_acquire);
    }
    [[nodiscard]] std::optional<Outcome> outcome() const;

    /// An eventfd: readable when there is something for the main thread.
    [[nodiscard]] int event() const noexcept { return event_.get(); }
    void notify() noexcept;
    void clear_event() noexcept;

  private:
    std::atomic<bool> set_{false};
    mutable std::mutex mutex_;
    std::optional<Outcome> outcome_;
    UniqueFd event_;
};

}  // namespace ipidefer::vmm
