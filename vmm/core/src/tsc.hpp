// SPDX-License-Identifier: GPL-2.0-or-later
// TSC: the clock of all times here, and how fast it may be.
#ifndef IPIDEFER_TSC_HPP
#define IPIDEFER_TSC_HPP

#include <cstdint>

namespace ipidefer {

inline constexpr std::uint64_t kNsPerSecond = 1'000'000'000;
/// No TSC counts faster, in Hz: a frequency above it is not known.
inline constexpr std::uint64_t kFastestTsc = 10'000'000'000;

}  // namespace ipidefer

#endif  // IPIDEFER_TSC_HPP
