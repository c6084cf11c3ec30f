// SPDX-License-Identifier: GPL-2.0-or-later
// Files that are read as a whole.
#pragma once

#include <filesystem>
#include <string>

namespace ipidefer {

/// All of it. Throws a Failure that names the file.
[[nodiscard]] std::string read_whole(const std::filesystem::path& path);

}  // namespace ipidefer
