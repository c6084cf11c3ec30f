// SPDX-License-Identifier: GPL-2.0-or-later
// Doorbell: IPIs that a guest asks its VMM for by MSR, where the VMM does not
// see the ICR: one ICR value, or a request in memory that names many APICs.
//
// vmm/abi/ipi_defer.h, MSR_ICR and MSR_ICR_MULTI.
//
// Not handled: reading the request from guest memory.
#ifndef IPIDEFER_DOORBELL_HPP
#define IPIDEFER_DOORBELL_HPP

#include <ipidefer/ipidefer.h>

#include <cstddef>
#include <cstdint>

namespace ipidefer {

[[nodiscard]] ipidefer_error decode_doorbell(std::uint64_t value,
                                             ipidefer_icr& out,
                                             ipidefer_fault* fault) noexcept;
[[nodiscard]] ipidefer_error check_multi_address(
    std::uint64_t value, ipidefer_fault* fault) noexcept;
[[nodiscard]] ipidefer_error decode_multi(const void* raw, std::size_t bytes,
                                          ipidefer_multi& out,
                                          ipidefer_fault* fault) noexcept;
[[nodiscard]] bool names(const ipidefer_multi& multi,
                         std::uint32_t apic_id) noexcept;

}  // namespace ipidefer

#endif  // IPIDEFER_DOORBELL_HPP
