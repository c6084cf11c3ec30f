// SPDX-License-Identifier: GPL-2.0-or-later
// Programs that the agent runs: their output kept, and nothing of them left
// behind.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/program.hpp"

namespace ipidefer::lab::agent {

/// Allows only `cpus` to the calling process, and to those that it starts.
/// Throws Failure.
void pin_to(const std::vector<unsigned>& cpus);

/// Runs a program, where we may run, until it ends, and kills what it has left
/// in its process group. `said` is called when it has written something.
/// @return of the output, the end. Throws Failure when it cannot be started.
[[nodiscard]] ProgramResult run_program(
    const std::vector<std::string>& arguments,
    const std::function<void()>& said = [] {});

}  // namespace ipidefer::lab::agent
