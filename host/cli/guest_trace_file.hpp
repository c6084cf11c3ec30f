// SPDX-License-Identifier: GPL-2.0-or-later
// A guest's trace as a file: text, or what trace-cmd records (trace.dat,
// versions 6 and 7), which trace-cmd itself is asked to read.
#pragma once

#include <filesystem>

#include "host/trace/guest_trace.hpp"

namespace ipidefer::cli {

/// With one event at least. Throws a Failure that names the file: it cannot be
/// read, or has no event; or it is a trace.dat, and trace-cmd is missing or
/// fails; or as read_guest_trace() does.
[[nodiscard]] trace::GuestTrace read_guest_trace_file(
    const std::filesystem::path& file);

}  // namespace ipidefer::cli
