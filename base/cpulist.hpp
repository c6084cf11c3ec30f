// SPDX-License-Identifier: GPL-2.0-or-later
// Sets of CPUs, in three grammars:
// - our own options: "0-3,8", strides as in "0-15:2/4" (2 of every 4), and
//   exclusions, "2-5,^3". "all" and "N" mean nothing without a machine.
// - Linux, in sysfs and on its command line.
// - libvirt, in cpuset attributes.
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

/// As Linux reads a list (lib/bitmap-str.c): elements are N, "all", first-last,
/// and after a range or "all" a stride :used/group, with as few as 0 used. N is
/// the last CPU. Commas and blanks separate elements, and may be repeated.
/// @param count CPUs that the machine can have, at least 1. As in Linux, one
///     beyond them makes the whole list wrong.
/// @return the set; empty for a list without elements
/// Throws Failure, naming what is wrong.
[[nodiscard]] CpuSet parse_kernel_cpulist(std::string_view text,
                                          unsigned count);

/// CPUs that libvirt counts (VIR_DOMAIN_CPUMASK_LEN).
inline constexpr unsigned kMostLibvirtCpus = 16384;

/// As libvirt reads a cpuset: CPUs below kMostLibvirtCpus and ranges of them;
/// ^CPU takes one out. Blanks may surround numbers, one comma may end the list.
/// Throws Failure, naming what is wrong, also for a list that leaves no CPU.
[[nodiscard]] CpuSet parse_libvirt_cpuset(std::string_view text);

/// The shortest list of ranges; empty for an empty set.
[[nodiscard]] std::string format_cpulist(const CpuSet& cpus);

/// Those that are in both, and those of the first that are not in the second.
[[nodiscard]] CpuSet both(const CpuSet& a, const CpuSet& b);
[[nodiscard]] CpuSet without(const CpuSet& a, const CpuSet& b);

/// CPUs 0..count-1 that are not in `cpus`.
[[nodiscard]] CpuSet complement(const CpuSet& cpus, unsigned count);

}  // namespace ipidefer
