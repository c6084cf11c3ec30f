// SPDX-License-Identifier: GPL-2.0-or-later
// Repeated: what the repetitions of each arm come to, and what differs from off
// beyond chance. Computed once, for the table and for the report.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "experiments/lab/rows.hpp"
#include "experiments/lab/run.hpp"
#include "experiments/statistics/comparison.hpp"

namespace ipidefer::lab {

/// One arm's runs of a workload.
struct ArmRuns {
    Arm arm;
    /// By repetition; those that the host starved are not there.
    std::map<unsigned, const Run*> runs;
    /// Repetitions that off/A has as well; 0 for off/A itself, and without it.
    std::size_t pairs = 0;
};

struct RepeatedRow {
    Row row;
    /// Of each arm, in the order of the arms: one number for each repetition,
    /// empty where the arm cannot have it. Rows of text have none.
    std::vector<statistics::Sample> samples;
    /// Of each arm, from off/A, pair by pair of the same repetition; nothing
    /// for off/A itself, and where one of the two cannot have it.
    std::vector<std::optional<statistics::Comparison>> differences;
};

struct RepeatedSection {
    std::string title;
    std::vector<RepeatedRow> rows;
};

/// One workload.
struct Repeated {
    Runs runs;
    std::vector<ArmRuns> arms;
    std::vector<RepeatedSection> sections;
};

/// off/A, with which the others are compared; nothing without mode off.
[[nodiscard]] const ArmRuns* base_of(const Repeated& repeated);

/// Of each workload that any arm has a run of, in the order in which they ran.
/// Runs are those of the report, which has to outlive what is returned.
/// @param report empty without repetitions
[[nodiscard]] std::vector<Repeated> repeated_of(const Report& report);

/// Arms and workloads of which no repetition ran: "hv of workload mixed"; empty
/// when there are none. So there is nothing to say about them.
/// @param groups of runs that there should be, as group_of() has them
[[nodiscard]] std::vector<std::string> without_runs(
    const Report& report, const std::vector<std::string>& groups);

}  // namespace ipidefer::lab
