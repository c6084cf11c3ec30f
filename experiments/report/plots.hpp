// SPDX-License-Identifier: GPL-2.0-or-later
// Plots of a report, drawn by gnuplot(1).
#pragma once

#include <string>
#include <vector>

#include "experiments/report/grid.hpp"

namespace ipidefer::report {

struct Plot {
    std::string title;
    /// For who does not see it: what is on the axes.
    std::string description;
    /// What gnuplot is told, but for where to: draws SVG.
    std::string script;
};

/// Those that this workload has numbers for.
[[nodiscard]] std::vector<Plot> plots_of(const LabReport& report,
                                         const std::string& workload);

/// Throws a Failure of Exit::kNotPossible where there is no gnuplot: ahead of
/// what takes its time.
void check_gnuplot();

/// The same Failure, and others.
/// @return SVG
[[nodiscard]] std::string drawn(const Plot& plot);

}  // namespace ipidefer::report
