// SPDX-License-Identifier: GPL-2.0-or-later
// Guest configuration: has a guest's kernel, by the file that it was configured
// with, what deferral needs? Option names are those of Linux 6.12 with the
// series (guest-patches/linux-6.12).
//
// Not handled: what the kernel is told when it boots, which domain_checks.hpp
// looks at.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "host/check/host_checks.hpp"

namespace ipidefer::check {

/// As much as is read, compressed or not: ten times what Linux has.
inline constexpr std::size_t kMostConfigBytes = std::size_t{4} << 20;

/// @param file  a .config, or what a kernel has in /proc/config.gz: gzip
/// @return the text of the configuration
/// Throws a Failure for what is damaged, or longer than kMostConfigBytes.
[[nodiscard]] std::string guest_config_text(std::string_view file);

/// Throws a Failure when no line is of a kernel's configuration.
[[nodiscard]] std::vector<Finding> guest_config_findings(std::string_view text);

}  // namespace ipidefer::check
