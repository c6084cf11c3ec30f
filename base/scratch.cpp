// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/scratch.hpp"

#include <stdlib.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include "base/failure.hpp"

namespace ipidefer {
namespace {

/// Room for the longest name of a socket in the folder.
constexpr std::size_t kLongestPath = sizeof sockaddr_un{}.sun_path - 32;

}  // namespace

Scratch::Scratch()
{
    std::string name =
        (std::filesystem::temp_directory_path() / "ipidefer-XXXXXX").string();
    if (name.size() > kLongestPath)
        throw Failure{Exit::kCannotRun,
                      "TMPDIR is too long for unix sockets: " + name + " has " +
                          std::to_string(name.size()) +
                          " characters, the limit is " +
                          std::to_string(kLongestPath)};
    if (::mkdtemp(name.data()) == nullptr)
        throw Failure{Exit::kCannotRun,
                      "cannot make " + name + ": " + std::strerror(errno)};
    path_ = name;
}

Scratch::~Scratch()
{
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

}  // namespace ipidefer
