// SPDX-License-Identifier: GPL-2.0-or-later
// Name: a VM's name, and the file name of its segment.
#pragma once

#include <ipidefer/shm.h>

#include <climits>

namespace ipidefer::shm {

using FileName = char[NAME_MAX + 1];

/// @return false, with `error` set, for a name that no segment can have
[[nodiscard]] bool file_of_name(const char* name, FileName& file,
                                ipidefer_shm_error* error) noexcept;

}  // namespace ipidefer::shm
