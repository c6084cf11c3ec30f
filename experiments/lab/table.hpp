// SPDX-License-Identifier: GPL-2.0-or-later
// The report for people: for each workload, what was aimed at isolated vCPUs
// and what reached them, with a column for each mode.
#pragma once

#include <string>
#include <vector>

#include "experiments/lab/run.hpp"

namespace ipidefer::lab {

/// One table for each workload, in the order of the runs; empty without runs.
[[nodiscard]] std::string render_tables(const std::vector<Run>& runs);

}  // namespace ipidefer::lab
