// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/daemon/service.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-journal.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>

#include "base/failure.hpp"

namespace ipidefer::daemon {
namespace {

/// Whether standard error is the journal's: what we say then goes there in a
/// way that keeps the fields (systemd.exec(5), JOURNAL_STREAM).
bool is_journal()
{
    const char* const stream = std::getenv("JOURNAL_STREAM");
    struct stat ours {};
    if (stream == nullptr || ::fstat(STDERR_FILENO, &ours) != 0) return false;
    return stream ==
           std::to_string(ours.st_dev) + ':' + std::to_string(ours.st_ino);
}

/// One write that failed, as while the journal restarts, does not end all later
/// ones.
void say(const std::string& text)
{
    std::cerr.clear();
    std::cerr << text << '\n' << std::flush;
}

void notify(const std::string& state)
{
    // What systemd does not hear it asks for by its timeouts.
    (void)::sd_notify(0, state.c_str());
}

}  // namespace

Service::Service()
{
    const int count = ::sd_listen_fds(1);
    for (int fd = SD_LISTEN_FDS_START; fd < SD_LISTEN_FDS_START + count; ++fd) {
        const bool local = ::sd_is_socket(fd, AF_UNIX, SOCK_STREAM, 1) > 0;
        const bool tcp = ::sd_is_socket(fd, AF_INET, SOCK_STREAM, 1) > 0 ||
                         ::sd_is_socket(fd, AF_INET6, SOCK_STREAM, 1) > 0;
        if (!local && !tcp)
            throw Failure{Exit::kCannotRun,
                          "descriptor " + std::to_string(fd) +
                              " of systemd's is no socket that listens"};
        const int family = local ? AF_UNIX : AF_INET;
        if (std::ranges::find(listeners_, family, &Listener::family) !=
            listeners_.end())
            throw Failure{Exit::kCannotRun,
                          local ? "systemd gave us two control sockets"
                                : "systemd gave us two sockets for metrics"};
        listeners_.push_back({fd, family});
    }
}

std::optional<int> Service::take(bool local)
{
    for (auto at = listeners_.begin(); at != listeners_.end(); ++at)
        if ((at->family == AF_UNIX) == local) {
            const int fd = at->fd;
            listeners_.erase(at);
            return fd;
        }
    return std::nullopt;
}

std::optional<int> Service::take_metrics() { return take(false); }
std::optional<int> Service::take_control() { return take(true); }

void Service::ready() { notify("READY=1"); }

void Service::reloading()
{
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    const auto us = static_cast<std::uint64_t>(now.tv_sec) * 1'000'000 +
                    static_cast<std::uint64_t>(now.tv_nsec) / 1'000;
    notify("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(us));
}

void Service::stopping() { notify("STOPPING=1"); }
void Service::status(const std::string& text) { notify("STATUS=" + text); }
void Service::alive() { notify("WATCHDOG=1"); }

void log(int priority, const std::string& text,
         const std::vector<std::pair<std::string, std::string>>& fields)
{
    static const bool journal = is_journal();
    // An entry with fields is for machines as it is.
    if (!journal) return say(fields.empty() ? "ipideferd: " + text : text);
    std::vector<std::string> lines{"MESSAGE=" + text,
                                   "PRIORITY=" + std::to_string(priority),
                                   "SYSLOG_IDENTIFIER=ipideferd"};
    for (const auto& [name, value] : fields)
        lines.push_back(name + '=' + value);
    std::vector<iovec> parts;
    for (std::string& line : lines) parts.push_back({line.data(), line.size()});
    if (::sd_journal_sendv(parts.data(), static_cast<int>(parts.size())) < 0)
        say(text);
}

}  // namespace ipidefer::daemon
