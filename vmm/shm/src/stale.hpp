// SPDX-License-Identifier: GPL-2.0-or-later
// Stale: segments that a VMM that was killed left behind.
#pragma once

#include "vmm/shm/src/file.hpp"

namespace ipidefer::shm {

/// Remove this file's name, unless a VMM has the file open.
/// @return 0, or an errno: EBUSY for one that runs, ENOENT for one that
///         somebody else has removed
[[nodiscard]] int remove_if_gone(const Fd& folder, const char* file) noexcept;

}  // namespace ipidefer::shm
