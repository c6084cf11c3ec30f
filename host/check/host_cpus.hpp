// SPDX-License-Identifier: GPL-2.0-or-later
// Host CPUs: which of them are isolated, and what shares a core with what.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "base/cpulist.hpp"

namespace ipidefer::check {

struct HostCpus {
    CpuSet online;
    CpuSet isolated;                      // from the scheduler
    CpuSet nohz_full;                     // without ticks
    std::map<unsigned, CpuSet> siblings;  // of each that is online, with itself

    /// CPUs that share a core with these, and are not among them.
    [[nodiscard]] CpuSet siblings_of(const CpuSet& cpus) const;
    /// Those of which it is not known what shares a core with them.
    [[nodiscard]] CpuSet without_topology(const CpuSet& cpus) const;
};

/// @param root where /sys is: "/" or a test's folder
[[nodiscard]] HostCpus read_host_cpus(const std::filesystem::path& root);

/// Nothing when the file cannot be read.
[[nodiscard]] std::optional<std::string> first_line(
    const std::filesystem::path& file);

}  // namespace ipidefer::check
