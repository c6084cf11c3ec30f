// SPDX-License-Identifier: GPL-2.0-or-later
// Daemon: events in, fleet in the middle, HTTP and control out. One thread.
#pragma once

#include <filesystem>

namespace ipidefer::daemon {

/// Runs until SIGTERM or SIGINT; SIGHUP reads the configuration again. Says
/// "listening on ADDRESS:PORT" and then "ready" on standard output. Throws
/// Failure when it cannot start.
/// @param file of the configuration
void run_daemon(const std::filesystem::path& file);

}  // namespace ipidefer::daemon
