// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/guest/workload.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>

#include "base/failure.hpp"
#include "experiments/guest/files.hpp"

namespace ipidefer::lab::agent {
namespace {

constexpr std::size_t kKeptOutput = 4096;

[[noreturn]] void become(const std::vector<std::string>& arguments,
                         const std::vector<unsigned>& cpus, int output)
{
    try {
        ::setpgid(0, 0);
        if (!cpus.empty()) pin_to(cpus);
        const int null = ::open("/dev/null", O_RDONLY);
        ::dup2(null, STDIN_FILENO);
        ::dup2(output, STDOUT_FILENO);
        ::dup2(output, STDERR_FILENO);
        std::vector<char*> argv;
        for (const auto& argument : arguments)
            argv.push_back(const_cast<char*>(argument.c_str()));
        argv.push_back(nullptr);
        ::execv(argv[0], argv.data());
        throw last_error(arguments[0]);
    } catch (const std::exception& error) {
        ::dprintf(output, "%s\n", error.what());
    }
    ::_exit(127);
}

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

int shell_status(int status)
{
    return WIFSIGNALED(status) ? kSignalled + WTERMSIG(status)
                               : WEXITSTATUS(status);
}

}  // namespace

void pin_to(const std::vector<unsigned>& cpus)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    for (const unsigned cpu : cpus) CPU_SET(cpu, &set);
    if (::sched_setaffinity(0, sizeof set, &set) != 0)
        throw last_error("sched_setaffinity");
}

Ended run_program(const std::vector<std::string>& arguments,
                  const std::vector<unsigned>& cpus,
                  const std::function<void()>& said)
{
    std::array<int, 2> pipe{};
    if (::pipe2(pipe.data(), O_CLOEXEC) != 0) throw last_error("pipe");
    const pid_t child = ::fork();
    if (child < 0) throw last_error("fork");
    if (child == 0) become(arguments, cpus, pipe[1]);
    ::close(pipe[1]);

    const int end = static_cast<int>(::syscall(SYS_pidfd_open, child, 0));
    if (end < 0) throw last_error("pidfd_open");

    Ended ended;
    std::array<pollfd, 2> events{{{pipe[0], POLLIN, 0}, {end, POLLIN, 0}}};
    // Output may be held open by what the program left behind.
    while (events[1].revents == 0) {
        if (::poll(events.data(), events.size(), -1) < 0 && errno != EINTR)
            throw last_error("poll");
        if (events[0].revents == 0) continue;
        if (read_some(pipe[0], ended.output))
            said();
        else
            events[0].fd = -1;
    }
    while (events[0].fd >= 0 && ::poll(events.data(), 1, 0) > 0 &&
           read_some(pipe[0], ended.output)) {
    }
    ::close(end);
    ::close(pipe[0]);

    int status = 0;
    ::waitpid(child, &status, 0);
    ended.status = shell_status(status);
    ::kill(-child, SIGKILL);
    // We are init: those whose parents ended are ours to bury. Loops that
    // still run have not ended, so this does not wait for them.
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    return ended;
}

}  // namespace ipidefer::lab::agent
