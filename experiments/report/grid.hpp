// SPDX-License-Identifier: GPL-2.0-or-later
// Grid: what a table of one workload has, a column for each mode.
#pragma once

#include <string>
#include <vector>

#include "experiments/report/lab_report.hpp"
#include "experiments/statistics/comparison.hpp"

namespace ipidefer::report {

struct GridRow {
    std::string title;
    /// One for each mode: the counts of its runs.
    std::vector<statistics::Sample> samples;
};

struct Grid {
    std::vector<std::string> modes;
    std::vector<LabRuns> runs;
    /// Those that any run has a count of.
    std::vector<GridRow> events;
    std::vector<GridRow> interrupts;
    /// Listed gaps, by cause.
    std::vector<GridRow> gap_causes;
    /// All interrupts that isolated vCPUs took.
    GridRow total;
};

[[nodiscard]] Grid grid_of(const LabReport& report,
                           const std::string& workload);

/// "20", or of several runs "20 (19 to 22)": the median and the quartiles.
[[nodiscard]] std::string shown(const statistics::Sample& sample);

/// How many interrupts an arm took, against another in the same repetition.
struct ArmDifference {
    std::string arm;
    std::string base;
    statistics::Comparison comparison;
};

/// Of each arm but the first of off, which is the base; empty without off, or
/// without repetitions.
[[nodiscard]] std::vector<ArmDifference> differences_of(
    const LabReport& report, const std::string& workload);

}  // namespace ipidefer::report
