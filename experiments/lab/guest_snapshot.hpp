// SPDX-License-Identifier: GPL-2.0-or-later
// The guest's part of a snapshot, in the agent's words (protocol.hpp).
#pragma once

#include <nlohmann/json.hpp>
#include <optional>

#include "experiments/lab/snapshot.hpp"

namespace ipidefer::lab {

/// @param answer to kStats or kSnapshot
/// @return nothing when the kernel has no ipi_defer
/// @throws Failure if the guest's text does not parse
[[nodiscard]] std::optional<GuestStats> guest_stats(
    const nlohmann::json& answer);

/// @param answer to kSnapshot
/// @throws Failure if the guest's text does not parse
[[nodiscard]] Snapshot guest_snapshot(const nlohmann::json& answer);

/// The gaps of the loops that a snapshot has.
/// @param answer to kHistograms
/// @throws Failure if it is of other loops, or not what it should be
void add_gaps(Snapshot& taken, const nlohmann::json& answer);

}  // namespace ipidefer::lab
