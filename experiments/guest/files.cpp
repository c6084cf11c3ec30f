// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/guest/files.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace ipidefer::lab::agent {

std::optional<std::string> read_file(const std::string& path)
{
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return std::nullopt;
    std::string text;
    std::array<char, 16384> chunk;
    ssize_t got = 0;
    while ((got = ::read(fd, chunk.data(), chunk.size())) > 0)
        text.append(chunk.data(), static_cast<std::size_t>(got));
    ::close(fd);
    if (got < 0) return std::nullopt;
    return text;
}

std::string write_file(const std::string& path, const std::string& text)
{
    const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd < 0) return path + ": " + std::strerror(errno);
    const ssize_t put = ::write(fd, text.data(), text.size());
    const int error = errno;
    ::close(fd);
    if (put < 0) return path + ": " + std::strerror(error);
    if (static_cast<std::size_t>(put) != text.size())
        return path + ": took " + std::to_string(put) + " of " +
               std::to_string(text.size()) + " bytes";
    return {};
}

}  // namespace ipidefer::lab::agent
