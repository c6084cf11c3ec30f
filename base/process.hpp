// SPDX-License-Identifier: GPL-2.0-or-later
// Process: a program that was started, known by a file descriptor (pidfd), so
// that its end can be waited for with other events, with a limit, and without
// looking again and again.
//
// By hand, since of Boost.Process 1.81 the first version looks for the end of a
// child every few milliseconds, and the second, which does not, cannot be
// compiled with std::filesystem.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <istream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"

namespace ipidefer {

/// How long poll() may wait: 0 once that moment is over.
[[nodiscard]] int milliseconds_until(
    std::chrono::steady_clock::time_point end) noexcept;

/// Becomes another program, with our environment. Throws Failure (kCannotRun)
/// when it cannot be run.
[[noreturn]] void become_program(const std::filesystem::path& program,
                                 const std::vector<std::string>& arguments);

class Process final {
  public:
    struct Start {
        std::filesystem::path program;
        std::vector<std::string> arguments{};
        /// NAME=VALUE, besides our own.
        std::vector<std::string> environment{};
        /// Where both its outputs go: to this file, to output(), or with ours.
        std::optional<std::filesystem::path> log{};
        bool piped = false;
        /// What else it inherits, as 3, 4 and so on; at most 16.
        std::vector<int> descriptors{};
        /// It ends when we do, however that happens, and Ctrl-C is not for it.
        bool bound_to_us = false;
        /// It has our terminal, and what is typed is for it. Else its standard
        /// input is empty.
        bool interactive = false;
    };

    /// Throws Failure (kCannotRun) when it cannot be started.
    explicit Process(const Start& start);
    /// Kills it, and waits for its end.
    ~Process();
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;

    [[nodiscard]] pid_t pid() const noexcept { return pid_; }
    /// Readable once it has ended.
    [[nodiscard]] int pidfd() const noexcept { return pidfd_.get(); }
    /// Of a piped one: readable, until it and whoever has it too have ended.
    [[nodiscard]] int output() const noexcept { return output_.get(); }

    /// Its exit status, or kSignalled and the number of the signal that ended
    /// it.
    int wait();
    /// The same; nothing when it runs on for longer.
    std::optional<int> wait_for(std::chrono::milliseconds timeout);
    /// No effect once it has ended.
    void signal(int number) noexcept;

  private:
    pid_t pid_ = -1;
    UniqueFd pidfd_;
    UniqueFd output_;
    std::optional<int> status_;
};

/// What can be read from a descriptor, which stays the caller's, as a stream.
[[nodiscard]] std::unique_ptr<std::istream> stream_of(int descriptor);

}  // namespace ipidefer
