// SPDX-License-Identifier: GPL-2.0-or-later
// Durations as people write them: 10ms, 1.5s, 250us, 2m.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace ipidefer {

/// The core and vmm/shm have one each, as they do without base.
inline constexpr std::uint64_t kNsPerSecond = 1'000'000'000;

/// A number and one of ns, us, ms, s, m, h; 0 needs no unit. Throws Failure,
/// naming what is wrong, also for more than 10^15 ns (some 11 days).
[[nodiscard]] std::chrono::nanoseconds parse_duration(std::string_view text);

/// In the largest of ns, us, ms, s that leaves something before the point, cut
/// to three digits after it: "10ms", "1.5s"; "0".
[[nodiscard]] std::string format_duration(std::chrono::nanoseconds duration);

}  // namespace ipidefer
