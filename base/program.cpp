// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/program.hpp"

#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/failure.hpp"
#include "base/process.hpp"

namespace ipidefer {
namespace {

using Clock = std::chrono::steady_clock;

/// Nothing when it takes longer.
std::optional<ProgramResult> run_until(
    const Process::Start& start, const std::optional<Clock::time_point>& end)
{
    Process process{start};
    std::string output;
    std::array<char, 4096> chunk{};
    for (;;) {
        pollfd readable{process.output(), POLLIN, 0};
        const int ready =
            ::poll(&readable, 1, end ? milliseconds_until(*end) : -1);
        if (ready == 0) return std::nullopt;
        if (ready < 0 && errno != EINTR) throw system_failure("poll");
        if (ready < 0) continue;
        const ssize_t got =
            ::read(process.output(), chunk.data(), chunk.size());
        if (got > 0)
            output.append(chunk.data(), static_cast<std::size_t>(got));
        else if (got == 0 || errno != EINTR)
            break;
    }
    if (!end) return ProgramResult{process.wait(), std::move(output)};
    const auto status =
        process.wait_for(std::chrono::milliseconds{milliseconds_until(*end)});
    if (!status) return std::nullopt;
    return ProgramResult{*status, std::move(output)};
}

}  // namespace

ProgramResult run_program(const std::filesystem::path& program,
                          const std::vector<std::string>& arguments,
                          const std::vector<int>& descriptors)
{
    return *run_until({.program = program,
                       .arguments = arguments,
                       .piped = true,
                       .descriptors = descriptors},
                      std::nullopt);
}

std::optional<ProgramResult> run_program(
    const std::filesystem::path& program,
    const std::vector<std::string>& arguments,
    std::chrono::milliseconds timeout)
{
    return run_until(
        {.program = program, .arguments = arguments, .piped = true},
        Clock::now() + timeout);
}

}  // namespace ipidefer
