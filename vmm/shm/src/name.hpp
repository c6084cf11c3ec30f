// SPDX-License-Identifier: GPL-2.0-or-later
// Name: a VM's name, and the file names of its segments.
#pragma once

#include <ipidefer/shm.h>

#include <climits>
#include <cstddef>
#include <cstdint>

namespace ipidefer::shm {

using FileName = char[NAME_MAX + 1];
static_assert(sizeof(FileName) <= IPIDEFER_SHM_ID);

/// Digits of a tag: lower case, hexadecimal.
inline constexpr std::size_t kTagDigits = 8;

/// Does a file name begin as a segment's does?
[[nodiscard]] bool has_prefix(const char* file) noexcept;

/// A mark and the digits of a tag, and nothing behind them.
[[nodiscard]] bool is_tag(const char* text, char mark) noexcept;

/// The file name of a segment of this VM.
/// @param tag tells segments of the same name apart
/// @return false, with `error` set, for a name that no segment can have
[[nodiscard]] bool file_of_name(const char* name, std::uint32_t tag,
                                FileName& file,
                                ipidefer_shm_error* error) noexcept;

/// The file name of the segment with this ID.
/// @return false, with `error` set, for what is no ID
[[nodiscard]] bool file_of_id(const char* id, FileName& file,
                              ipidefer_shm_error* error) noexcept;

/// The ID that is in a segment's file name.
[[nodiscard]] const char* id_of_file(const char* file) noexcept;

/// A number that others cannot guess; false with errno set.
[[nodiscard]] bool random_tag(std::uint32_t& tag) noexcept;

}  // namespace ipidefer::shm
