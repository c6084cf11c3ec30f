// SPDX-License-Identifier: GPL-2.0-or-later
// Kernel line: a Linux command line, as far as it concerns isolation.
// Parameters count until "--", the last of a name wins, and double quotes hold
// spaces together.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/cpulist.hpp"

namespace ipidefer::domain {

/// "" for a parameter without a value; nothing when it is not there.
[[nodiscard]] std::optional<std::string> kernel_parameter(
    std::string_view line, std::string_view name);

/// Of nohz_full=, irqaffinity= or isolcpus=, whose flags are left out. Nothing
/// when it is not there, or is a list that a kernel with these CPUs refuses.
/// @param count of the guest's CPUs
[[nodiscard]] std::optional<CpuSet> kernel_cpus(std::string_view line,
                                                std::string_view name,
                                                unsigned count);

/// With parameters put at the end, or before "--" and before a word whose quote
/// nobody closes.
[[nodiscard]] std::string with_parameters(
    std::string_view line, const std::vector<std::string>& parameters);

/// Without any of that name.
[[nodiscard]] std::string without_parameter(std::string_view line,
                                            std::string_view name);

}  // namespace ipidefer::domain
