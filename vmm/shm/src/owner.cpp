// SPDX-License-Identifier: GPL-2.0-or-later
#include "owner.hpp"

#include <fcntl.h>
#include <ipidefer/shm.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace ipidefer::shm {
namespace {

struct ProcStat {
    bool found;
    char state;
    std::uint64_t start;
};

/// Fields 3 and 22 of /proc/PID/stat, see proc(5).
ProcStat read_stat(std::uint64_t pid) noexcept
{
    constexpr int kState = 3;
    constexpr int kStart = 22;
    char path[40];
    std::snprintf(path, sizeof path, "/proc/%" PRIu64 "/stat", pid);
    const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return {};
    char text[1024];
    const ssize_t bytes = ::read(fd, text, sizeof text - 1);
    ::close(fd);
    if (bytes <= 0) return {};
    text[bytes] = '\0';
    // The name, field 2, is in parentheses and may contain some.
    const char* at = std::strrchr(text, ')');
    if (at == nullptr || at[1] != ' ') return {};
    at += 2;
    ProcStat stat{true, *at, 0};
    for (int field = kState; field < kStart; ++field) {
        at = std::strchr(at, ' ');
        if (at == nullptr) return {};
        ++at;
    }
    stat.start = std::strtoull(at, nullptr, 10);
    return stat;
}

std::uint64_t pid_namespace() noexcept
{
    struct stat ns {};
    return ::stat("/proc/self/ns/pid", &ns) == 0 ? ns.st_ino : 0;
}

}  // namespace

Owner self() noexcept
{
    const auto pid = static_cast<std::uint64_t>(::getpid());
    return {pid, read_stat(pid).start, pid_namespace()};
}

}  // namespace ipidefer::shm

ipidefer_shm_life ipidefer_shm_owner(uint64_t pid, uint64_t pid_start,
                                     uint64_t pid_ns)
{
    using namespace ipidefer::shm;
    if (pid == 0 || pid > INT32_MAX || pid_ns == 0 || pid_ns != pid_namespace())
        return IPIDEFER_SHM_UNKNOWN;
    const ProcStat stat = read_stat(pid);
    if (!stat.found)
        return ::kill(static_cast<pid_t>(pid), 0) != 0 && errno == ESRCH
                   ? IPIDEFER_SHM_GONE
                   : IPIDEFER_SHM_UNKNOWN;
    if (stat.state == 'Z' || stat.state == 'X') return IPIDEFER_SHM_GONE;
    return stat.start == pid_start ? IPIDEFER_SHM_RUNS : IPIDEFER_SHM_GONE;
}
