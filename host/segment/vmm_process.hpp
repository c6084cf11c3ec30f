// SPDX-License-Identifier: GPL-2.0-or-later
// VMM process: which one runs a VM that has a segment.
//
// A segment says a PID, but of the VMM's own namespace, and whoever may write
// the segment may change it. The lock on the segment's file is the kernel's
// word: a VMM holds it as long as it runs, and /proc shows with each open file
// which locks it holds. So readers of the segment, which have the same file
// open, are not taken for the VMM, and PIDs are those that this process sees.
#pragma once

#include <filesystem>
#include <string>

#include "host/segment/open.hpp"

namespace ipidefer::segment {

/// @param vm   as find() takes it
/// @param proc /proc
/// Throws Failure: as OpenVm does; of a VM that does not run; when no process
/// that may be looked at holds the lock, or several do, which it names.
[[nodiscard]] int vmm_process(const Place& place, const std::string& vm,
                              const std::filesystem::path& proc = "/proc");

}  // namespace ipidefer::segment
