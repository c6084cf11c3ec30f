// SPDX-License-Identifier: GPL-2.0-or-later
// Installed: where the project's other programs and their data lie. A build has
// the same folders as an installation.
#pragma once

#include <filesystem>
#include <string>

namespace ipidefer {

/// The program or file of this name, seen from the running program: beside it,
/// or where programs or helpers are installed.
/// Throws Failure (kNotPossible) that names it when it is not installed.
[[nodiscard]] std::filesystem::path installed(const std::string& name);

}  // namespace ipidefer
