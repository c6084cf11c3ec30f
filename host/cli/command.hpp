// SPDX-License-Identifier: GPL-2.0-or-later
// Command: what the commands that look at running VMs have in common.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "host/segment/place.hpp"

namespace ipidefer::cli {

/// A subcommand: adds its options to `app`, and is what then runs it.
/// The place is what --shm-dir and --owner say once the command line is parsed.
using Run = std::function<int()>;

/// @param place where segments are; set before the command runs
Run add_list(CLI::App& app, const segment::Place& place);
Run add_stat(CLI::App& app, const segment::Place& place);
Run add_top(CLI::App& app, const segment::Place& place);
Run add_policy(CLI::App& app, const segment::Place& place);
Run add_blame(CLI::App& app, const segment::Place& place);
Run add_check(CLI::App& app, const segment::Place& place);
Run add_domain(CLI::App& app, const segment::Place& place);
Run add_trace(CLI::App& app, const segment::Place& place);

/// Has SIGINT, SIGTERM or SIGHUP come? From the first call on they only set
/// this.
[[nodiscard]] bool interrupted() noexcept;

}  // namespace ipidefer::cli
