// SPDX-License-Identifier: GPL-2.0-or-later
// ICR: decoding of interrupt command register writes.
//
// Intel SDM vol. 3A: 11.6.1 (xAPIC; its table of valid combinations for the
// Pentium 4 and later) and 11.12.9 (x2APIC).
//
// Not handled: the P6 family's rules, the x2APIC SELF_IPI register.
#ifndef IPIDEFER_ICR_HPP
#define IPIDEFER_ICR_HPP

#include <ipidefer/ipidefer.h>

#include <cstdint>

namespace ipidefer {

[[nodiscard]] ipidefer_icr decode_icr_xapic(std::uint32_t low,
                                            std::uint32_t high) noexcept;
[[nodiscard]] ipidefer_icr decode_icr_x2apic(std::uint64_t value) noexcept;

}  // namespace ipidefer

#endif  // IPIDEFER_ICR_HPP
