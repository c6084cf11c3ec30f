// SPDX-License-Identifier: GPL-2.0-or-later
// The report for people where modes were repeated: what each of them has, and
// what differs from off beyond chance.
#pragma once

#include <string>
#include <vector>

#include "experiments/lab/repeated.hpp"

namespace ipidefer::lab {

/// For each workload medians with quartiles, a column for each arm; then, pair
/// by pair of the same repetition, how the others differ from off/A. How off/B
/// does is the noise: the two differ in nothing.
/// @param report with repetitions
/// @param repeated of the same report; text is empty without any
[[nodiscard]] std::string render_repetitions(
    const Report& report, const std::vector<Repeated>& repeated);

}  // namespace ipidefer::lab
