// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/core/src/fault.hpp"

#include <cinttypes>
#include <cstdio>

namespace ipidefer {
namespace {

/// Does the fault concern one binding, or the registration as a whole?
bool names_binding(ipidefer_error error) noexcept
{
    switch (error) {
        case IPIDEFER_OK:
        case IPIDEFER_E_VCPU:
        case IPIDEFER_E_NOT_ENABLED:
        case IPIDEFER_E_COUNT:
        case IPIDEFER_E_TABLE_SIZE:
        case IPIDEFER_E_VECTORS:
        case IPIDEFER_E_BELL_RESERVED:
        case IPIDEFER_E_BELL_VECTOR:
        case IPIDEFER_E_DELIVERY:
        case IPIDEFER_E_LOGICAL:
        case IPIDEFER_E_MULTI_SIZE:
        case IPIDEFER_E_MULTI_ALIGNMENT:
        case IPIDEFER_E_MULTI_ID:
        case IPIDEFER_E_REGISTER_RESERVED:
        case IPIDEFER_ERRORS:
            return false;
        case IPIDEFER_E_RESERVED:
        case IPIDEFER_E_ALIGNMENT:
        case IPIDEFER_E_VECTOR:
        case IPIDEFER_E_DUPLICATE:
        case IPIDEFER_E_ACCEPT_MASK:
        case IPIDEFER_E_ACCEPT_VALUE:
        case IPIDEFER_E_WORK_BIT:
        case IPIDEFER_E_OVERLAP:
        case IPIDEFER_E_STATE:
        case IPIDEFER_E_WORD:
            return true;
    }
    return false;
}

/// Is the limit a mask that the value has bits of?
bool is_mask(ipidefer_error error) noexcept
{
    return error == IPIDEFER_E_REGISTER_RESERVED;
}

const char* phrase(ipidefer_error error) noexcept
{
    switch (error) {
        case IPIDEFER_OK:
            return "no fault";
        case IPIDEFER_E_VCPU:
            return "vCPU index out of range";
        case IPIDEFER_E_RESERVED:
            return "reserved bytes are not zero";
        case IPIDEFER_E_NOT_ENABLED:
            return "value is not zero but lacks the enable bit";
        case IPIDEFER_E_COUNT:
            return "number of bindings out of range";
        case IPIDEFER_E_TABLE_SIZE:
            return "table is not wholly in memory";
        case IPIDEFER_E_ALIGNMENT:
            return "word address is not aligned";
        case IPIDEFER_E_VECTOR:
            return "vector may not be bound";
        case IPIDEFER_E_DUPLICATE:
            return "same vector, or same bit of the same word, as an "
                   "earlier binding";
        case IPIDEFER_E_ACCEPT_MASK:
            return "accept mask is zero";
        case IPIDEFER_E_ACCEPT_VALUE:
            return "accept value has bits outside its mask";
        case IPIDEFER_E_WORK_BIT:
            return "work bit is not exactly one bit";
        case IPIDEFER_E_OVERLAP:
            return "a mask covers a work bit";
        case IPIDEFER_E_STATE:
            return "state mask, shift and values do not fit together";
        case IPIDEFER_E_WORD:
            return "word is not in mapped, writable memory";
        case IPIDEFER_E_VECTORS:
            return "too many different vectors in one VM";
        case IPIDEFER_E_BELL_RESERVED:
            return "reserved bits of the doorbell are not zero";
        case IPIDEFER_E_BELL_VECTOR:
            return "vector may not be rung for";
        case IPIDEFER_E_DELIVERY:
            return "doorbell takes fixed, edge-triggered IPIs only";
        case IPIDEFER_E_LOGICAL:
            return "doorbell takes physical destinations only";
        case IPIDEFER_E_MULTI_SIZE:
            return "multicast request is not wholly in memory";
        case IPIDEFER_E_MULTI_ALIGNMENT:
            return "address of the multicast request is not aligned";
        case IPIDEFER_E_MULTI_ID:
            return "multicast request names an APIC ID that cannot exist";
        case IPIDEFER_E_REGISTER_RESERVED:
            return "reserved bits of the registration are not zero";
        case IPIDEFER_ERRORS:
            break;
    }
    return "unknown fault";
}

}  // namespace

void describe(const ipidefer_fault& fault, char* buf, std::size_t size) noexcept
{
    if (size == 0) return;
    char where[32] = "";
    if (names_binding(fault.error))
        std::snprintf(where, sizeof where, "binding %" PRIu32 ": ",
                      fault.binding);
    char limit[40] = "";
    if (fault.limit != 0)
        std::snprintf(limit, sizeof limit, ", %s 0x%" PRIx64,
                      is_mask(fault.error) ? "of" : "limit", fault.limit);
    std::snprintf(buf, size, "%s%s (value 0x%" PRIx64 "%s)", where,
                  phrase(fault.error), fault.value, limit);
}

}  // namespace ipidefer
