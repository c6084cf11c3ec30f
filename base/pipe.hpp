// SPDX-License-Identifier: GPL-2.0-or-later
// Both ends of a pipe. A program that we start has neither unless it is given.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include "base/failure.hpp"
#include "base/unique_fd.hpp"

namespace ipidefer {

struct Pipe {
    UniqueFd read;
    UniqueFd write;

    /// Throws Failure.
    Pipe()
    {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) != 0) throw system_failure("pipe2");
        read = UniqueFd{ends[0]};
        write = UniqueFd{ends[1]};
    }
};

}  // namespace ipidefer
