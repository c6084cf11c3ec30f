// SPDX-License-Identifier: GPL-2.0-or-later
// Why the VMM ends: the exit statuses, and the exception that carries one.
#pragma once

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>

namespace ipidefer::vmm {

enum class Exit : int {
    kDone = 0,
    kCannotRun = 1,
    kGuestFailed = 2,   // the guest said so, crashed, or did not end
    kNotPossible = 77,  // not on this machine; ctest's "skipped"
};

class Failure : public std::runtime_error {
  public:
    Failure(Exit exit, const std::string& what)
        : std::runtime_error{what}, exit_{exit}
    {
    }
    [[nodiscard]] Exit exit() const noexcept { return exit_; }

  private:
    Exit exit_;
};

/// A system call that failed: its name, and errno in words.
[[nodiscard]] inline Failure system_failure(const std::string& what,
                                            int error = errno)
{
    return {Exit::kCannotRun, what + ": " + std::strerror(error)};
}

}  // namespace ipidefer::vmm
