// SPDX-License-Identifier: GPL-2.0-or-later
// Emulator: what a QEMU binary says about the ipi-defer object.
#pragma once

#include <set>
#include <string>

namespace ipidefer::domain {

struct Emulator {
    bool runs = false;
    bool knows_object = false;
    std::set<std::string> properties;  // of the object
    std::string complaint;             // first line, when it does not know it
};

/// @param status, output of "QEMU -object ipi-defer,help"
[[nodiscard]] Emulator read_object_help(int status, const std::string& output);

}  // namespace ipidefer::domain
