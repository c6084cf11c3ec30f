// SPDX-License-Identifier: GPL-2.0-or-later
// Do guest and VMM tell the same story, and is it a good one? Pure: from the
// snapshots of a run to what is wrong with it.
#pragma once

#include <string>
#include <vector>

#include "base/cpulist.hpp"
#include "experiments/lab/mode.hpp"
#include "experiments/lab/snapshot.hpp"

namespace ipidefer::lab {

/// One sentence for each thing that is wrong, naming the vCPU and both numbers;
/// empty when all is well. `mode` is what the guest runs as. Cites the
/// invariants of the design that would be broken.
[[nodiscard]] std::vector<std::string> disagreements(Mode mode,
                                                     const Snapshots& at,
                                                     const CpuSet& isolated);

/// Has a vCPU interrupts to take that the VMM delivered? They were since boot,
/// like those that the guest counts. False where that cannot be known.
[[nodiscard]] bool under_way(const Snapshot& at, const CpuSet& isolated);

/// How a loop was kept from spinning on its vCPU from A to B, other than by
/// interrupts; empty when none was. Then the vCPUs were not what the lab
/// measures, and no count of theirs means anything.
[[nodiscard]] std::string loops_left(const Snapshots& at);

/// Why a guest with `online` CPUs (a list as Linux writes it) cannot be used;
/// empty when it can. `append` is the likely reason.
[[nodiscard]] std::string missing_cpus(const CpuSet& isolated,
                                       const std::string& online,
                                       const std::string& append);

/// Typed work of `cpu` that is recorded in its context word, not yet done.
[[nodiscard]] bool pending(const Snapshot& snapshot, unsigned cpu,
                           const std::string& work);

}  // namespace ipidefer::lab
