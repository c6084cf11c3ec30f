// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/shm/src/clock.hpp"

#include <time.h>

namespace ipidefer::shm {
namespace {

constexpr std::uint64_t kNsPerSecond = 1'000'000'000;
constexpr std::uint64_t kShortestBase = 1'000'000;  // nanoseconds
constexpr int kTries = 8;

std::uint64_t nanoseconds(clockid_t clock) noexcept
{
    timespec now{};
    ::clock_gettime(clock, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * kNsPerSecond +
           static_cast<std::uint64_t>(now.tv_nsec);
}

}  // namespace

ipidefer_clock_sample sample_clocks() noexcept
{
    ipidefer_clock_sample best{};
    std::uint64_t shortest = UINT64_MAX;
    for (int i = 0; i < kTries; ++i) {
        const std::uint64_t before = __builtin_ia32_rdtsc();
        const std::uint64_t monotonic = nanoseconds(CLOCK_MONOTONIC);
        const std::uint64_t realtime = nanoseconds(CLOCK_REALTIME);
        const std::uint64_t took = __builtin_ia32_rdtsc() - before;
        if (took >= shortest) continue;
        shortest = took;
        best = {before + took / 2, monotonic, realtime};
    }
    return best;
}

std::uint64_t tsc_frequency(const ipidefer_clock_sample& from,
                            const ipidefer_clock_sample& to) noexcept
{
    if (to.tsc <= from.tsc ||
        to.monotonic_ns < from.monotonic_ns + kShortestBase)
        return 0;
    const auto ticks = static_cast<double>(to.tsc - from.tsc);
    const auto ns = static_cast<double>(to.monotonic_ns - from.monotonic_ns);
    return static_cast<std::uint64_t>(ticks / ns *
                                      static_cast<double>(kNsPerSecond));
}

}  // namespace ipidefer::shm
