// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/shm/src/clock.hpp"

namespace ipidefer::shm {
namespace {

constexpr std::uint64_t kNsPerSecond = 1'000'000'000;
constexpr std::uint64_t kShortestBase = 1'000'000;  // nanoseconds
constexpr int kTries = 8;

std::uint64_t now(clockid_t clock) noexcept
{
    timespec time{};
    ::clock_gettime(clock, &time);
    return nanoseconds(time);
}

}  // namespace

std::uint64_t nanoseconds(const timespec& time) noexcept
{
    return static_cast<std::uint64_t>(time.tv_sec) * kNsPerSecond +
           static_cast<std::uint64_t>(time.tv_nsec);
}

ipidefer_clock_sample sample_clocks() noexcept
{
    ipidefer_clock_sample best{};
    std::uint64_t shortest = UINT64_MAX;
    for (int i = 0; i < kTries; ++i) {
        const std::uint64_t before = __builtin_ia32_rdtsc();
        const std::uint64_t monotonic = now(CLOCK_MONOTONIC);
        const std::uint64_t realtime = now(CLOCK_REALTIME);
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
