// SPDX-License-Identifier: GPL-2.0-or-later
// Files that are read or written as a whole.
#pragma once

#include <cstddef>
#include <filesystem>
#include <limits>
#include <string>
#include <string_view>

namespace ipidefer {

/// All of a file, which may be one that has no size, as in /proc, or a FIFO.
/// Throws a Failure that names the file, and says why: of the system, or that
/// it has more than `most` bytes.
[[nodiscard]] std::string read_whole(
    const std::filesystem::path& path,
    std::size_t most = std::numeric_limits<std::size_t>::max());

/// The same of a file that may be given as "-", for standard input.
[[nodiscard]] std::string read_input(const std::string& file, std::size_t most);

/// Makes the file, or replaces all that is in it. Throws a Failure that names
/// it.
void write_whole(const std::filesystem::path& path, std::string_view text);

}  // namespace ipidefer
