// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>

#include "base/failure.hpp"
#include "base/option_value.hpp"
#include "base/text.hpp"
#include "base/unique_fd.hpp"

namespace ipidefer {
namespace {

constexpr std::size_t kPiece = std::size_t{64} << 10;

/// The name of a file, as messages have it.
std::string shown(const std::string& file)
{
    return in_quotes(printable(file));
}

std::string read_from(int fd, const std::string& file, std::size_t most)
{
    std::string text;
    for (;;) {
        const std::size_t had = text.size();
        text.resize(had + kPiece);
        const auto got = ::read(fd, text.data() + had, kPiece);
        const int error = errno;
        text.resize(had + static_cast<std::size_t>(got > 0 ? got : 0));
        if (got < 0 && error == EINTR) continue;
        if (got < 0) throw system_failure("cannot read " + shown(file), error);
        if (got == 0) return text;
        if (text.size() > most)
            throw Failure{Exit::kCannotRun,
                          shown(file) + " has more than " +
                              std::to_string(most) +
                              " bytes, the most that is read"};
    }
}

}  // namespace

std::string read_whole(const std::filesystem::path& path, std::size_t most)
{
    const UniqueFd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    if (!fd) throw system_failure("cannot read " + shown(path.string()));
    return read_from(fd.get(), path.string(), most);
}

std::string read_input(const std::string& file, std::size_t most)
{
    return file == "-" ? read_from(STDIN_FILENO, file, most)
                       : read_whole(file, most);
}

void write_whole(const std::filesystem::path& path, std::string_view text)
{
    std::ofstream out{path, std::ios::binary};
    out << text;
    if (!out.flush())
        throw system_failure("cannot write " + shown(path.string()));
}

}  // namespace ipidefer
