// SPDX-License-Identifier: GPL-2.0-or-later
// Files that are read or written as a whole.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace ipidefer {

/// All of it. Throws a Failure that names the file.
[[nodiscard]] std::string read_whole(const std::filesystem::path& path);

/// Makes the file, or replaces all that is in it. Throws a Failure that names
/// it.
void write_whole(const std::filesystem::path& path, std::string_view text);

}  // namespace ipidefer
