// SPDX-License-Identifier: GPL-2.0-or-later
// Cause: who or what took a vCPU out of its guest.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>

namespace ipidefer::blame {

struct Cause {
    /// In the order of tables.
    enum class Kind : std::uint8_t {
        kGuestIpi,    // another vCPU's IPI
        kDevice,      // a device's MSI or line, for the guest
        kGuestTimer,  // the guest's own timer
        kGuestOther,  // another interrupt for the guest
        kCall,        // the host: a function call by IPI
        kReschedule,  // the host: a reschedule IPI and nothing that tells why
        kTimer,       // the host: a timer, as the tick
        kHostDevice,  // the host: a device's interrupt
        kIrqWork,     // the host: work in an interrupt
        kScheduler,   // the host: another thread ran instead
        kGuest,       // the guest's own doing: an instruction, a halt
        kPageFault,   // memory of the guest was not there
        kUnknown,     // an interrupt of which nothing was seen
    };

    Kind kind = Kind::kUnknown;
    std::string detail;  // vector and sender, function and sender, reason...

    bool operator==(const Cause&) const = default;
    bool operator<(const Cause& other) const
    {
        return std::tie(kind, detail) < std::tie(other.kind, other.detail);
    }
};

[[nodiscard]] std::string_view name(Cause::Kind kind) noexcept;

}  // namespace ipidefer::blame
