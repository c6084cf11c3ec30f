// SPDX-License-Identifier: GPL-2.0-or-later
// Error: what a failed call leaves for its caller.
#pragma once

#include <ipidefer/shm.h>

namespace ipidefer::shm {

/// Fill `error`, if the caller wants one; printf-like.
[[gnu::format(printf, 3, 4)]] void fail(ipidefer_shm_error* error, int code,
                                        const char* format, ...) noexcept;

/// The same for a failed system call: appends the meaning of errno.
void fail_errno(ipidefer_shm_error* error, const char* what,
                const char* on) noexcept;

}  // namespace ipidefer::shm
