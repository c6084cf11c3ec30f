// SPDX-License-Identifier: GPL-2.0-or-later
// The report for people where modes were repeated: what each of them has, and
// what differs from off beyond chance.
#pragma once

#include <string>

#include "experiments/lab/run.hpp"

namespace ipidefer::lab {

/// For each workload medians with quartiles, a column for each arm; then, pair
/// by pair of the same repetition, how the others differ from off/A. How off/B
/// does is the noise: the two differ in nothing.
/// @param report with repetitions; text is empty without runs
[[nodiscard]] std::string render_repetitions(const Report& report);

/// Arms and workloads of which no repetition ran: "hv of workload mixed"; empty
/// when there are none. So there is nothing to say about them.
[[nodiscard]] std::vector<std::string> without_runs(
    const Report& report, const std::vector<std::string>& workloads);

}  // namespace ipidefer::lab
