// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/kvm/src/ending.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include "base/failure.hpp"

namespace ipidefer::vmm {

const char* name(Outcome::Kind kind) noexcept
{
    switch (kind) {
        case Outcome::Kind::kExit:
            return "exit";
        case Outcome::Kind::kGuestFailed:
            return "guest-failed";
        case Outcome::Kind::kTimeout:
            return "timeout";
        case Outcome::Kind::kSignal:
            return "signal";
        case Outcome::Kind::kBroken:
            return "broken";
    }
    return "?";
}

Ending::Ending() : event_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)}
{
    if (!event_) throw system_failure("eventfd");
}

void Ending::set(Outcome outcome)
{
    {
        const std::lock_guard hold{mutex_};
        if (outcome_) return;
        outcome_ = std::move(outcome);
        // Ordering: RELEASE pairs with is_set().
        set_.store(true, std::memory_order_release);
    }
    notify();
}

std::optional<Outcome> Ending::outcome() const
{
    const std::lock_guard hold{mutex_};
    return outcome_;
}

void Ending::notify() noexcept
{
    const std::uint64_t one = 1;
    // Fails only when it is already readable a great many times over.
    [[maybe_unused]] const auto written =
        ::write(event_.get(), &one, sizeof(one));
}

void Ending::clear_event() noexcept
{
    std::uint64_t count = 0;
    [[maybe_unused]] const auto got =
        ::read(event_.get(), &count, sizeof(count));
}

}  // namespace ipidefer::vmm
