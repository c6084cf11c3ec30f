// SPDX-License-Identifier: GPL-2.0-or-later
// Binding: validation of MSR_REGISTER values and of binding tables.
//
// Everything here comes from the guest and is hostile (I7): the caller copies
// it once, this validates the copy, and only then is anything used.
//
// Not handled: whether a word's address is RAM (the caller maps it).
#ifndef IPIDEFER_BINDING_HPP
#define IPIDEFER_BINDING_HPP

#include <ipidefer/ipidefer.h>

#include <cstddef>
#include <cstdint>

namespace ipidefer {

/// Decode a value written to IPI_DEFER_MSR_REGISTER; `out` is untouched when
/// it is refused.
[[nodiscard]] ipidefer_error decode_register(std::uint64_t value,
                                             ipidefer_registration& out,
                                             ipidefer_fault* fault) noexcept;

/// Decode `count` bindings from `bytes` bytes at `raw`; `out` is untouched
/// when one of them is refused.
[[nodiscard]] ipidefer_error decode_table(const void* raw, std::size_t bytes,
                                          std::uint32_t count,
                                          ipi_defer_binding* out,
                                          ipidefer_fault* fault) noexcept;

}  // namespace ipidefer

#endif  // IPIDEFER_BINDING_HPP
