// SPDX-License-Identifier: GPL-2.0-or-later
// Host checks: is this host fit for guests whose isolated vCPUs are to be left
// alone? Each finding has a remedy. Reads files below a root, so that tests can
// bring a host of their own.
//
// Not handled: one domain's pinning, and its guest.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace ipidefer::check {

/// kSkip: nothing could be looked at, and nothing is said of it.
enum class Grade { kPass, kSkip, kWarn, kFail };
[[nodiscard]] std::string_view to_string(Grade grade) noexcept;

struct Finding {
    std::string name;  // stable: scripts look for it
    Grade grade;
    std::string what;
    std::string remedy;  // empty for what passes or was not looked at
};

/// @param root  where /sys, /proc and /dev are: "/" or a test's folder
/// @param shm   folder for segments, not below root
[[nodiscard]] std::vector<Finding> host_findings(
    const std::filesystem::path& root, const std::filesystem::path& shm);

}  // namespace ipidefer::check
