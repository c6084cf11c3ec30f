// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/core/src/icr.hpp"

namespace ipidefer {
namespace {

//  31      20 19 18 17 16 15 14 13 12 11 10   8 7      0
// | reserved |  sh |  rs |tm|lv|rs|ds|dm|  mode | vector |
//
// ds, delivery status, is read-only in xAPIC mode, and reserved in x2APIC
// mode, where WRMSR refuses reserved bits; xAPIC ignores what is written
// there.
constexpr unsigned kShorthandShift = 18;           // [19:18]
constexpr std::uint32_t kTriggerLevel = 1u << 15;  // [15]
constexpr std::uint32_t kLevelAssert = 1u << 14;   // [14]
constexpr std::uint32_t kLogical = 1u << 11;       // [11]
constexpr unsigned kDeliveryShift = 8;             // [10:8]
constexpr std::uint32_t kVectorMask = 0xff;        // [7:0]

constexpr unsigned kXapicDestShift = 24;  // of the high half
constexpr unsigned kX2apicDestShift = 32;

/// The SDM's valid combinations. The level bit takes no part: it has no
/// meaning since the Pentium 4, and Linux leaves it 0.
bool combination_legal(const ipidefer_icr& icr) noexcept
{
    if (icr.level_trigger) return false;
    const bool fixed_only =
        icr.shorthand == IPIDEFER_SELF || icr.shorthand == IPIDEFER_ALL;
    switch (static_cast<ipidefer_delivery>(icr.delivery)) {
        case IPIDEFER_FIXED:
            return icr.vector >= IPIDEFER_FIRST_LEGAL_VECTOR;
        case IPIDEFER_LOWEST:
            return !fixed_only && icr.vector >= IPIDEFER_FIRST_LEGAL_VECTOR;
        case IPIDEFER_SMI:
        case IPIDEFER_NMI:
        case IPIDEFER_INIT:
        case IPIDEFER_SIPI:
            return !fixed_only;
        case IPIDEFER_DELIVERY_RESERVED:
        case IPIDEFER_EXTINT:
            return false;
    }
    return false;
}

ipidefer_icr decode(std::uint32_t low, std::uint32_t dest, bool x2apic) noexcept
{
    ipidefer_icr icr{};
    icr.vector = static_cast<std::uint8_t>(low & kVectorMask);
    icr.delivery = (low >> kDeliveryShift) & 7;
    icr.shorthand = (low >> kShorthandShift) & 3;
    icr.logical = (low & kLogical) != 0;
    icr.assert_level = (low & kLevelAssert) != 0;
    icr.level_trigger = (low & kTriggerLevel) != 0;
    icr.x2apic = x2apic;
    icr.dest = dest;
    icr.legal = combination_legal(icr) &&
                !(x2apic && (low & IPIDEFER_ICR_X2APIC_RESERVED) != 0);
    icr.deferrable = icr.legal && icr.delivery == IPIDEFER_FIXED;
    return icr;
}

}  // namespace

ipidefer_icr decode_icr_xapic(std::uint32_t low, std::uint32_t high) noexcept
{
    return decode(low, high >> kXapicDestShift, false);
}

ipidefer_icr decode_icr_x2apic(std::uint64_t value) noexcept
{
    return decode(static_cast<std::uint32_t>(value),
                  static_cast<std::uint32_t>(value >> kX2apicDestShift), true);
}

}  // namespace ipidefer
