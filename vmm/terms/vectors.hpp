// SPDX-License-Identifier: GPL-2.0-or-later
// Vectors by the names of their work. The numbers are those of the guest
// kernel's series (guest-patches/linux-6.12); any other is written 0xf1.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace ipidefer::terms {

/// "0xf5"
[[nodiscard]] std::string vector_number(std::uint8_t vector);

/// "sync_core", or "0xf1" for one without a name.
[[nodiscard]] std::string vector_name(std::uint8_t vector);

/// A name, or a number from 0x20 to 0xfe. Throws Failure.
[[nodiscard]] std::uint8_t parse_vector(std::string_view text);

}  // namespace ipidefer::terms
