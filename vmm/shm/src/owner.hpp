// SPDX-License-Identifier: GPL-2.0-or-later
// Owner: the process that a segment belongs to. A pid alone may be somebody
// else's by now; with the start time, and the namespace it is from, it is not.
#pragma once

#include <cstdint>

namespace ipidefer::shm {

struct Owner {
    std::uint64_t pid;
    std::uint64_t start;  // clock ticks since boot; 0: not known
    std::uint64_t ns;     // inode; 0: not known
};

/// This process.
[[nodiscard]] Owner self() noexcept;

}  // namespace ipidefer::shm
