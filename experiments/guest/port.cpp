// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/guest/port.hpp"

#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/failure.hpp"

namespace ipidefer::lab::agent {

Port::Port(const char* device)
    : fd_{::open(device, O_RDWR | O_NOCTTY | O_CLOEXEC)}
{
    if (fd_ < 0) throw system_failure(device);
    termios tty{};
    if (::tcgetattr(fd_, &tty) != 0) throw system_failure(device);
    ::cfmakeraw(&tty);
    ::cfsetspeed(&tty, B115200);
    if (::tcsetattr(fd_, TCSAFLUSH, &tty) != 0) throw system_failure(device);
}

Port::~Port() { ::close(fd_); }

std::string Port::read_line()
{
    for (;;) {
        if (const auto end = pending_.find('\n'); end != std::string::npos) {
            std::string line = pending_.substr(0, end);
            pending_.erase(0, end + 1);
            return line;
        }
        std::array<char, 512> chunk;
        const ssize_t got = ::read(fd_, chunk.data(), chunk.size());
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) throw system_failure("reading from the host");
        pending_.append(chunk.data(), static_cast<std::size_t>(got));
    }
}

void Port::write_line(std::string_view line)
{
    std::string text{line};
    text += '\n';
    std::string_view left = text;
    while (!left.empty()) {
        const ssize_t put = ::write(fd_, left.data(), left.size());
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) throw system_failure("writing to the host");
        left.remove_prefix(static_cast<std::size_t>(put));
    }
    // Not before the host has it all may the guest be measured again.
    ::tcdrain(fd_);
}

}  // namespace ipidefer::lab::agent
