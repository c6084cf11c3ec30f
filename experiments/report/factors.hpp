// SPDX-License-Identifier: GPL-2.0-or-later
// Factors: what a sweep changed, and a table for each of them.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "experiments/statistics/sample.hpp"

namespace ipidefer::report {

struct LabReport;

/// Name and value of each, in the order in which they were asked for; empty
/// without a sweep.
using Factors = std::vector<std::pair<std::string, std::string>>;

/// "cpus=8, pti=on"; of no factors nothing.
[[nodiscard]] std::string text_of(const Factors& factors);

/// A workload where factors have these values: "mixed, cpus=8, pti=on".
[[nodiscard]] std::string with_factors(const std::string& workload,
                                       const Factors& factors);

/// Interrupts that isolated vCPUs took, by one factor, whatever the others are.
struct FactorTable {
    struct Row {
        std::string value;
        /// One for each mode: all runs that had the value; may be empty.
        std::vector<statistics::Sample> samples;
    };

    std::string workload;
    std::string factor;
    std::vector<std::string> modes;
    std::vector<Row> rows;
};

/// One for each workload and factor; empty without a sweep.
[[nodiscard]] std::vector<FactorTable> factor_tables_of(
    const LabReport& report);

/// What a row shows of each mode: a median, or that there was no run.
[[nodiscard]] std::vector<std::string> cells_of(const FactorTable::Row& row);

/// For people.
[[nodiscard]] std::string render(const std::vector<FactorTable>& tables);

}  // namespace ipidefer::report
