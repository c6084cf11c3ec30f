// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/guest/workload.hpp"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/failure.hpp"
#include "base/process.hpp"

namespace ipidefer::lab::agent {
namespace {

constexpr std::size_t kKeptOutput = 4096;

/// False at the end. Keeps the last kKeptOutput bytes.
bool read_some(int fd, std::string& output)
{
    std::array<char, 4096> chunk;
    const ssize_t got = ::read(fd, chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) return true;
    if (got <= 0) return false;
    output.append(chunk.data(), static_cast<std::size_t>(got));
    if (output.size() > kKeptOutput)
        output.erase(0, output.size() - kKeptOutput);
    return true;
}

}  // namespace

void pin_to(const std::vector<unsigned>& cpus)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    for (const unsigned cpu : cpus) CPU_SET(cpu, &set);
    if (::sched_setaffinity(0, sizeof set, &set) != 0)
        throw system_failure("sched_setaffinity");
}

ProgramResult run_program(const std::vector<std::string>& arguments,
                          const std::function<void()>& said)
{
    // In a process group of its own.
    Process program{{.program = arguments.front(),
                     .arguments = {arguments.begin() + 1, arguments.end()},
                     .piped = true,
                     .bound_to_us = true}};
    ProgramResult result;
    std::array<pollfd, 2> events{
        {{program.output(), POLLIN, 0}, {program.pidfd(), POLLIN, 0}}};
    // Output may be held open by what the program left behind.
    while (events[1].revents == 0) {
        if (::poll(events.data(), events.size(), -1) < 0 && errno != EINTR)
            throw system_failure("poll");
        if (events[0].revents == 0) continue;
        if (read_some(program.output(), result.output))
            said();
        else
            events[0].fd = -1;
    }
    while (events[0].fd >= 0 && ::poll(events.data(), 1, 0) > 0 &&
           read_some(program.output(), result.output)) {
    }
    result.status = program.wait();
    ::kill(-program.pid(), SIGKILL);
    // We are init: those whose parents have ended are ours to bury.
    while (::waitpid(-program.pid(), nullptr, 0) > 0) {
    }
    return result;
}

}  // namespace ipidefer::lab::agent
