// SPDX-License-Identifier: GPL-2.0-or-later
// Clock: the same moment on the TSC and on the kernel's clocks.
#pragma once

#include <ipidefer/segment.h>
#include <time.h>

#include <cstdint>

namespace ipidefer::shm {

[[nodiscard]] std::uint64_t nanoseconds(const timespec& time) noexcept;

/// The best of a few tries: the one that was interrupted least.
[[nodiscard]] ipidefer_clock_sample sample_clocks() noexcept;

/// @return 0 when they are too close, or the TSC did not run forward
[[nodiscard]] std::uint64_t tsc_frequency(
    const ipidefer_clock_sample& from,
    const ipidefer_clock_sample& to) noexcept;

}  // namespace ipidefer::shm
