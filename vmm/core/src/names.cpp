// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/core/src/names.hpp"

namespace ipidefer {

const char* verdict_name(ipidefer_verdict verdict) noexcept
{
    switch (verdict) {
        case IPIDEFER_PASSED:
            return "passed";
        case IPIDEFER_DEFERRED:
            return "deferred";
        case IPIDEFER_COALESCED:
            return "coalesced";
        case IPIDEFER_DELIVERED_IN_KERNEL:
            return "delivered-in-kernel";
        case IPIDEFER_DELIVERED_NOT_ISOLATED:
            return "delivered-not-isolated";
        case IPIDEFER_DELIVERED_NOT_BOUND:
            return "delivered-not-bound";
        case IPIDEFER_DELIVERED_POLICY:
            return "delivered-policy";
        case IPIDEFER_DELIVERED_BAD_WORD:
            return "delivered-bad-word";
        case IPIDEFER_DELIVERED_CONTENDED:
            return "delivered-contended";
        case IPIDEFER_VERDICTS:
            break;
    }
    return "?";
}

}  // namespace ipidefer
