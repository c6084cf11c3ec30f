// SPDX-License-Identifier: GPL-2.0-or-later
// Destination: which local APICs an IPI names.
//
// Intel SDM vol. 3A: 11.6.2 (physical, logical flat and cluster, shorthands,
// broadcast) and 11.12.10 (x2APIC logical).
//
// Not handled: arbitration among the candidates of a lowest-priority IPI. The
// SDM leaves a mix of xAPIC and x2APIC modes undefined; here a broadcast
// follows the sender's format, everything else the target's mode.
#ifndef IPIDEFER_DESTINATION_HPP
#define IPIDEFER_DESTINATION_HPP

#include <ipidefer/ipidefer.h>

namespace ipidefer {

/// @param is_self the target is the sender
[[nodiscard]] bool names(const ipidefer_icr& icr, const ipidefer_apic& target,
                         bool is_self) noexcept;

}  // namespace ipidefer

#endif  // IPIDEFER_DESTINATION_HPP
