// SPDX-License-Identifier: GPL-2.0-or-later
// Why a command ends: the exit statuses, and the exception that carries one.
#pragma once

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>

namespace ipidefer {

enum class Exit : int {
    kDone = 0,
    kCannotRun = 1,
    kDefect = 2,        // of guest or VMM: the run shows one, a guest failed
    kNotPossible = 77,  // not on this machine; ctest's "skipped"
};

/// Of a process that a signal ended the exit status is this and the signal's
/// number, as shells have it.
inline constexpr int kSignalled = 128;

class Failure : public std::runtime_error {
  public:
    Failure(Exit exit, const std::string& what, std::string detail = {})
        : std::runtime_error{what}, exit_{exit}, detail_{std::move(detail)}
    {
    }

    [[nodiscard]] Exit exit() const noexcept { return exit_; }
    /// Lines to show below the message: the end of a console, for example.
    [[nodiscard]] const std::string& detail() const noexcept { return detail_; }

  private:
    Exit exit_;
    std::string detail_;
};

/// A system call that failed: its name, and errno in words.
[[nodiscard]] inline Failure system_failure(const std::string& what,
                                            int error = errno)
{
    return {Exit::kCannotRun, what + ": " + std::strerror(error)};
}

}  // namespace ipidefer
