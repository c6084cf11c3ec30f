// SPDX-License-Identifier: GPL-2.0-or-later
// Sets of CPUs as Linux writes them: "0-3,8", with a stride as in "0-15:2/4"
// (2 of every 4), and as other tools write exclusions: "2-5,^3".
// Not handled: "all" and "N", which mean nothing without a machine.
#pragma once

#include <set>
#include <string>
#include <string_view>

namespace ipidefer {

using CpuSet = std::set<unsigned>;

/// As many CPUs as Linux can be built for (arch/x86/Kconfig, NR_CPUS).
inline constexpr unsigned kMostCpus = 8192;

/// Throws Failure, naming what is wrong, for text that is no list of CPUs below
/// `limit`, and for one that leaves no CPU.
[[nodiscard]] CpuSet parse_cpulist(std::string_view text, unsigned limit);

/// The shortest list of ranges; empty for an empty set.
[[nodiscard]] std::string format_cpulist(const CpuSet& cpus);

/// Those that are in both, and those of the first that are not in the second.
[[nodiscard]] CpuSet both(const CpuSet& a, const CpuSet& b);
[[nodiscard]] CpuSet without(const CpuSet& a, const CpuSet& b);

/// CPUs 0..count-1 that are not in `cpus`.
[[nodiscard]] CpuSet complement(const CpuSet& cpus, unsigned count);

}  // namespace ipidefer
