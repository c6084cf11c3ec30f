// SPDX-License-Identifier: GPL-2.0-or-later
// What `ipidefer-vmm` can be told.
#pragma once

#include <CLI/App.hpp>
#include <cstdint>
#include <string>

#include "vmm/kvm/src/machine.hpp"

namespace ipidefer::vmm {

/// As on the command line.
struct RawOptions {
    std::string guest;
    unsigned cpus = 1;
    std::string isolated;
    std::string vectors = "32-254";
    std::string memory = "64M";
    std::string enabled = "on";
    std::string user = "on";
    std::string guest_context = "on";
    std::string idle = "off";
    std::string append;
    std::string load = "0x100000";
    std::string pin;
    std::string segment = "off";
    std::string name;
    std::string segment_dir;
    std::string segment_mode = "0600";
    std::string segment_group;
    unsigned trace_entries = 16384;
    std::string trace = "off";
    std::string max_age = "0";
    std::string json;
    unsigned timeout = 60;
    bool probe = false;
    bool quiet = false;
};

/// Checked.
struct Options {
    MachineConfig machine;
    std::string guest;
    std::uint64_t flat_gpa = 0;
    std::string json;  // "-": standard output; empty: none
    unsigned timeout = 0;
    bool quiet = false;
};

void add_options(CLI::App& app, RawOptions& raw);

/// Throws a Failure that names the option, its value and the limit.
[[nodiscard]] Options check_options(const RawOptions& raw);

}  // namespace ipidefer::vmm
