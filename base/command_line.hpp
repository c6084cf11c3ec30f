// SPDX-License-Identifier: GPL-2.0-or-later
// Command line: how our programs read theirs, and how they end.
#pragma once

#include <CLI/App.hpp>
#include <functional>
#include <optional>
#include <string>

namespace ipidefer {

/// Reads the command line. Returns the status to end with when there is nothing
/// to run: help or version were asked for and are printed. Throws Failure that
/// says what is wrong with it.
[[nodiscard]] std::optional<int> parse_command_line(CLI::App& app, int argc,
                                                    char** argv);

/// What main() does: the status that `run` returns, or what it throws as a line
/// on standard error, after the program's name, and the status that goes with
/// it. That standard output could not be written is such a failure too.
[[nodiscard]] int main_of(const std::string& program,
                          const std::function<int()>& run) noexcept;

}  // namespace ipidefer
