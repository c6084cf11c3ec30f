// SPDX-License-Identifier: GPL-2.0-or-later
// What `ipidefer lab box` can be told.
#pragma once

#include <CLI/App.hpp>
#include <string>
#include <vector>

#include "experiments/lab/box.hpp"

namespace ipidefer::lab {

/// As on the command line.
struct RawBoxOptions {
    unsigned cpus = 4;
    std::string isolated;
    std::string memory = "6G";
    std::string qemu;
    std::string kernel;
    std::string append;
    std::vector<std::string> shares;
    std::string console;
    unsigned timeout = 180;
    std::vector<std::string> command;
};

void add_box_options(CLI::App& app, RawBoxOptions& raw);

/// Throws a Failure that names the option, its value and the limit.
[[nodiscard]] BoxSpec check_box_options(const RawBoxOptions& raw);

}  // namespace ipidefer::lab
