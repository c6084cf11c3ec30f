// SPDX-License-Identifier: GPL-2.0-or-later
// What programs of workloads do: one thing, several times.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace ipidefer::lab::agent {

struct Repeated {
    /// Does it. @return 0, or errno
    std::function<int(std::uint64_t round)> once;
    /// What errno is at first where the kernel has nothing of the kind.
    std::vector<int> lacking;
    /// What it has none of then.
    const char* lacks;
    /// Who says that it failed, and of what.
    std::function<std::string(std::uint64_t round)> name;
};

/// Until it fails, and says why. @return the exit status of the program
[[nodiscard]] int repeat(const Repeated& work, std::uint64_t count);

}  // namespace ipidefer::lab::agent
