// SPDX-License-Identifier: GPL-2.0-or-later
// Short-lived programs that are asked something.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace ipidefer {

struct ProgramResult {
    int status = 0;
    std::string output;  // standard output and standard error
};

/// Throws a Failure when it cannot be started. Standard input is empty.
[[nodiscard]] ProgramResult run_program(
    const std::filesystem::path& program,
    const std::vector<std::string>& arguments);

}  // namespace ipidefer
