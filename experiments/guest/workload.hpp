// SPDX-License-Identifier: GPL-2.0-or-later
// Programs that the agent runs: pinned, their output kept, and nothing of them
// left behind.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace ipidefer::lab::agent {

struct Ended {
    int status = 0;  // as a shell's $?
    std::string output;
};

/// Allows only `cpus` to the calling process; throws std::system_error.
void pin_to(const std::vector<unsigned>& cpus);

/// Runs a program on `cpus` (on any if empty) until it ends, and kills what it
/// has left in its process group. `said` is called when it has written
/// something.
[[nodiscard]] Ended run_program(
    const std::vector<std::string>& arguments,
    const std::vector<unsigned>& cpus,
    const std::function<void()>& said = [] {});

}  // namespace ipidefer::lab::agent
