// SPDX-License-Identifier: GPL-2.0-or-later
// Fault: why a registration was refused, with the value and its limit.
#ifndef IPIDEFER_FAULT_HPP
#define IPIDEFER_FAULT_HPP

#include <ipidefer/ipidefer.h>

#include <cstddef>
#include <cstdint>

namespace ipidefer {

/// Fill `fault`, if the caller wants one, and return its error.
inline ipidefer_error refuse(ipidefer_fault* fault, ipidefer_error error,
                             std::uint32_t binding, std::uint64_t value,
                             std::uint64_t limit) noexcept
{
    if (fault != nullptr) *fault = {error, binding, value, limit};
    return error;
}

/// One line of English, cut to `size` and NUL-terminated when size is not 0.
void describe(const ipidefer_fault& fault, char* buf,
              std::size_t size) noexcept;

}  // namespace ipidefer

#endif  // IPIDEFER_FAULT_HPP
