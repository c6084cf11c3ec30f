// SPDX-License-Identifier: GPL-2.0-or-later
// Percent: a byte that cannot stand for itself, as "%" and two digits.
#pragma once

#include <cstddef>
#include <cstring>

namespace ipidefer::shm {

inline constexpr std::size_t kPercentBytes = 3;
inline constexpr char kPercentDigits[] = "0123456789ABCDEF";

/// Writes kPercentBytes.
inline void write_percent(char* to, char byte) noexcept
{
    const auto value = static_cast<unsigned char>(byte);
    to[0] = '%';
    to[1] = kPercentDigits[value >> 4];
    to[2] = kPercentDigits[value & 15];
}

/// @param at a "%" in NUL-terminated text
/// @return the byte, or -1 where it is not followed by two digits
[[nodiscard]] inline int read_percent(const char* at) noexcept
{
    int value = 0;
    for (std::size_t i = 1; i < kPercentBytes; ++i) {
        const char* const digit =
            at[i] == '\0' ? nullptr : std::strchr(kPercentDigits, at[i]);
        if (digit == nullptr) return -1;
        value = value << 4 | static_cast<int>(digit - kPercentDigits);
    }
    return value;
}

}  // namespace ipidefer::shm
