// SPDX-License-Identifier: GPL-2.0-or-later
// Blame's target: whose vCPUs are looked at, as the command line names it.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "host/segment/place.hpp"

namespace ipidefer::cli {

/// Exactly one of these.
struct BlameTarget {
    std::string vm;      // that has a segment
    std::string domain;  // of libvirt, by name or UUID
    std::optional<int> pid;
};

void add_target_options(CLI::App& command, BlameTarget& target);

/// The process that runs it. Throws Failure, for none or several of the three
/// too; with Exit::kNotPossible where libvirt would be needed and is not there.
[[nodiscard]] int process_of(const BlameTarget& target,
                             const segment::Place& place);

}  // namespace ipidefer::cli
