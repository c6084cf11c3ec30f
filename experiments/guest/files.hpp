// SPDX-License-Identifier: GPL-2.0-or-later
// Small files of the kernel: whole reads, single writes, errors as text.
#pragma once

#include <optional>
#include <string>

namespace ipidefer::lab::agent {

/// Nothing when there is no such file, or it cannot be read.
[[nodiscard]] std::optional<std::string> read_file(const std::string& path);

/// One write() of the whole text, as the kernel's files want it. Empty on
/// success, else why not.
[[nodiscard]] std::string write_file(const std::string& path,
                                     const std::string& text);

}  // namespace ipidefer::lab::agent
