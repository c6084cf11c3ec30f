// SPDX-License-Identifier: GPL-2.0-or-later
// Differences: what two comparable reports have of the same, row by row.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "experiments/compare/criterion.hpp"
#include "experiments/report/lab_report.hpp"
#include "experiments/statistics/comparison.hpp"

namespace ipidefer::compare {

using report::LabReport;

/// How the sum of all interrupts is called, in expressions too.
inline constexpr char kTotal[] = "total";

struct RowDifference {
    std::string row;
    statistics::Sample base;
    statistics::Sample now;
    /// Where both have repetitions. These are two experiments, so a repetition
    /// of one and a repetition of the other are no pair.
    std::optional<statistics::Comparison> comparison;
};

struct ModeDifference {
    std::string mode;
    std::size_t base_runs = 0;
    std::size_t now_runs = 0;
    /// `total` first, then interrupts, then events, those with the largest
    /// counts first; rows that are 0 in all modes of a workload are left out.
    std::vector<RowDifference> rows;
};

struct WorkloadDifference {
    std::string workload;
    std::vector<ModeDifference> modes;
};

/// Of the workloads and modes that both have, in the order of `now`.
[[nodiscard]] std::vector<WorkloadDifference> differences(
    const LabReport& base, const LabReport& now,
    const statistics::Bootstrap& how);

/// Both reports, as criteria ask for them: medians of one workload.
class WorkloadCounts final : public Counts {
  public:
    WorkloadCounts(const LabReport& base, const LabReport& now,
                   std::string workload)
        : base_{base}, now_{now}, workload_{std::move(workload)}
    {
    }

    [[nodiscard]] double base(const Reference& of) const override;
    [[nodiscard]] double now(const Reference& of) const override;

  private:
    [[nodiscard]] double median_in(const LabReport& report,
                                   const Reference& of) const;

    const LabReport& base_;
    const LabReport& now_;
    std::string workload_;
};

/// A table for each workload.
[[nodiscard]] std::string render(
    const std::vector<WorkloadDifference>& differences);

/// As the member `workloads` of the report (docs/LAB.md).
[[nodiscard]] nlohmann::ordered_json to_json(
    const std::vector<WorkloadDifference>& differences);

}  // namespace ipidefer::compare
