// SPDX-License-Identifier: GPL-2.0-or-later
// A guest's trace as a file: text, or what trace-cmd records (trace.dat,
// versions 6 and 7), which trace-cmd itself is asked to read.
#pragma once

#include <filesystem>
#include <vector>

#include "guest_trace.hpp"

namespace ipidefer::cli {

/// Throws a Failure that names the file: it cannot be read, has no event or
/// times in seconds; or it is a trace.dat, and trace-cmd is missing or fails.
[[nodiscard]] std::vector<trace::GuestLine> read_guest_trace_file(
    const std::filesystem::path& file);

}  // namespace ipidefer::cli
