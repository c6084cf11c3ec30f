// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/core/src/destination.hpp"

#include <cstdint>

namespace ipidefer {
namespace {

constexpr std::uint32_t kXapicBroadcast = 0xff;
constexpr std::uint32_t kX2apicBroadcast = 0xffff'ffff;
constexpr std::uint32_t kXapicIdMask = 0xff;
constexpr unsigned kXapicLdrShift = 24;  // LDR [31:24]
constexpr unsigned kDfrModelShift = 28;  // DFR [31:28]
constexpr std::uint32_t kDfrFlat = 0xf;
constexpr std::uint32_t kDfrCluster = 0x0;

bool names_physical(std::uint32_t dest, const ipidefer_apic& target) noexcept
{
    return dest == (target.x2apic ? target.id : target.id & kXapicIdMask);
}

/// Cluster number in the bits above `width`, members in the bits below.
bool same_cluster(std::uint32_t dest, std::uint32_t logical,
                  unsigned width) noexcept
{
    const std::uint32_t members = (1u << width) - 1;
    return dest >> width == logical >> width && (dest & logical & members) != 0;
}

bool names_logical(std::uint32_t dest, const ipidefer_apic& target) noexcept
{
    if (target.x2apic) return same_cluster(dest, target.ldr, 16);
    if (dest > kXapicBroadcast) return false;
    const std::uint32_t logical = target.ldr >> kXapicLdrShift;
    switch (target.dfr >> kDfrModelShift) {
        case kDfrFlat:
            return (dest & logical) != 0;
        case kDfrCluster:
            return same_cluster(dest, logical, 4);
    }
    return false;  // the other models are reserved
}

}  // namespace

bool names(const ipidefer_icr& icr, const ipidefer_apic& target,
           bool is_self) noexcept
{
    if (!target.enabled) return false;
    switch (static_cast<ipidefer_shorthand>(icr.shorthand)) {
        case IPIDEFER_SELF:
            return is_self;
        case IPIDEFER_ALL:
            return true;
        case IPIDEFER_ALL_BUT_SELF:
            return !is_self;
        case IPIDEFER_NO_SHORTHAND:
            break;
    }
    if (icr.dest == (icr.x2apic ? kX2apicBroadcast : kXapicBroadcast))
        return true;
    return icr.logical ? names_logical(icr.dest, target)
                       : names_physical(icr.dest, target);
}

}  // namespace ipidefer
