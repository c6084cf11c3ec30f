// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/blame/cause.hpp"

namespace ipidefer::blame {

std::string_view name(Cause::Kind kind) noexcept
{
    switch (kind) {
        case Cause::Kind::kGuestIpi:
            return "guest-ipi";
        case Cause::Kind::kDevice:
            return "device";
        case Cause::Kind::kGuestTimer:
            return "guest-timer";
        case Cause::Kind::kGuestOther:
            return "guest-interrupt";
        case Cause::Kind::kCall:
            return "host-call";
        case Cause::Kind::kReschedule:
            return "host-reschedule";
        case Cause::Kind::kTimer:
            return "host-timer";
        case Cause::Kind::kHostDevice:
            return "host-device";
        case Cause::Kind::kIrqWork:
            return "host-irq-work";
        case Cause::Kind::kScheduler:
            return "scheduler";
        case Cause::Kind::kGuest:
            return "guest";
        case Cause::Kind::kPageFault:
            return "page-fault";
        case Cause::Kind::kUnknown:
            break;
    }
    return "unknown";
}

}  // namespace ipidefer::blame
