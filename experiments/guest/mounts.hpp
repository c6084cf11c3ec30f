// SPDX-License-Identifier: GPL-2.0-or-later
// What an init process sets up before anything else can run.
#pragma once

#include <string>
#include <vector>

namespace ipidefer::lab::agent {

/// Mounts the kernel's file systems and installs busybox's commands. Returns
/// what this kernel does not have; throws when it is too little to go on.
[[nodiscard]] std::vector<std::string> set_up_root();

}  // namespace ipidefer::lab::agent
