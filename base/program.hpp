// SPDX-License-Identifier: GPL-2.0-or-later
// Short-lived programs that are asked something.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace ipidefer {

struct ProgramResult {
    int status = 0;
    std::string output;  // standard output and standard error

    bool operator==(const ProgramResult&) const = default;
};

/// Throws a Failure when it cannot be started. Standard input is empty.
/// @param descriptors what else it inherits, as 3, 4 and so on
[[nodiscard]] ProgramResult run_program(
    const std::filesystem::path& program,
    const std::vector<std::string>& arguments,
    const std::vector<int>& descriptors = {});

/// The same; nothing, and the program is killed, when it takes longer.
[[nodiscard]] std::optional<ProgramResult> run_program(
    const std::filesystem::path& program,
    const std::vector<std::string>& arguments,
    std::chrono::milliseconds timeout);

}  // namespace ipidefer
