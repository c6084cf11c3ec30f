// SPDX-License-Identifier: GPL-2.0-or-later
// `ipidefer lab compare`, from options to exit status.
#pragma once

#include <CLI/App.hpp>
#include <string>
#include <vector>

namespace ipidefer::compare {

/// As on the command line.
struct RawOptions {
    std::string base;
    std::string now;
    std::vector<std::string> fail_if;
    std::vector<std::string> across;
    std::string json;
};

void add_options(CLI::App& app, RawOptions& raw);

/// Prints tables and what criteria say. Throws a Failure for what keeps it from
/// comparing.
/// @return the exit status: 0, or 2 where a criterion is met
[[nodiscard]] int compare(const RawOptions& raw);

}  // namespace ipidefer::compare
