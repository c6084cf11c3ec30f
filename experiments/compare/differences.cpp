// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/compare/differences.hpp"

#include <algorithm>
#include <functional>
#include <set>

#include "base/text.hpp"

namespace ipidefer::compare {
namespace {

using report::has_row;
using report::LabRun;
using report::LabRuns;
using report::listed;
using report::modes_of;
using report::row_of;
using report::RowCounts;
using report::runs_of;
using report::total_of;
using report::workloads_of;

using statistics::Sample;

RowDifference row_difference(const std::string& row, Sample base, Sample now,
                             const statistics::Bootstrap& how)
{
    RowDifference difference{row, std::move(base), std::move(now), {}};
    if (difference.base.size() > 1 && difference.now.size() > 1)
        difference.comparison =
            statistics::compare_samples(difference.base, difference.now, how);
    return difference;
}

double largest(const RowDifference& row)
{
    return std::max(*std::ranges::max_element(row.base),
                    *std::ranges::max_element(row.now));
}

/// Names of rows that are not 0 in all runs of a workload, in any mode: what
/// does not come in one of them is what it is compared for.
std::vector<std::string> names_of(const LabReport& base, const LabReport& now,
                                  const std::string& workload,
                                  RowCounts LabRun::*kind)
{
    std::set<std::string> names;
    for (const LabReport* report : {&base, &now})
        for (const LabRun& run : report->runs)
            if (run.workload == workload)
                for (const auto& [row, count] : run.*kind)
                    if (count != 0) names.insert(row);
    return {names.begin(), names.end()};
}

ModeDifference mode_difference(const LabReport& base, const LabReport& now,
                               const std::string& workload,
                               const std::string& mode,
                               const statistics::Bootstrap& how)
{
    const LabRuns before = runs_of(base, workload, mode);
    const LabRuns after = runs_of(now, workload, mode);
    ModeDifference difference{mode, before.size(), after.size(), {}};
    difference.rows.push_back(
        row_difference(kTotal, total_of(before), total_of(after), how));
    for (const auto kind : {&LabRun::interrupts, &LabRun::events}) {
        const auto begin = static_cast<std::ptrdiff_t>(difference.rows.size());
        for (const auto& row : names_of(base, now, workload, kind))
            difference.rows.push_back(row_difference(row, row_of(before, row),
                                                     row_of(after, row), how));
        std::ranges::stable_sort(difference.rows.begin() + begin,
                                 difference.rows.end(), std::greater{},
                                 largest);
    }
    return difference;
}

std::set<std::string> rows_of(const LabReport& report)
{
    std::set<std::string> rows;
    for (const LabRun& run : report.runs)
        for (const RowCounts* counts : {&run.interrupts, &run.events})
            for (const auto& [row, count] : *counts) rows.insert(row);
    return rows;
}

}  // namespace

std::vector<WorkloadDifference> differences(const LabReport& base,
                                            const LabReport& now,
                                            const statistics::Bootstrap& how)
{
    std::vector<WorkloadDifference> found;
    for (const auto& workload : workloads_of(now)) {
        WorkloadDifference difference{workload, {}};
        for (const auto& mode : modes_of(now, workload)) {
            if (runs_of(base, workload, mode).empty()) continue;
            difference.modes.push_back(
                mode_difference(base, now, workload, mode, how));
        }
        if (!difference.modes.empty()) found.push_back(std::move(difference));
    }
    return found;
}

double WorkloadCounts::base(const Reference& of) const
{
    return median_in(base_, of);
}

double WorkloadCounts::now(const Reference& of) const
{
    return median_in(now_, of);
}

double WorkloadCounts::median_in(const LabReport& report,
                                 const Reference& of) const
{
    const LabRuns runs = runs_of(report, workload_, of.mode);
    if (runs.empty()) {
        const auto modes = modes_of(report, workload_);
        throw CriterionError{
            report.file + " has no mode '" + of.mode + "' of workload " +
                printable(workload_) + ", but " +
                (modes.empty() ? "no other either"
                               : listed(std::set<std::string>(modes.begin(),
                                                              modes.end()))),
            of.mode_column};
    }
    if (of.row == kTotal && !of.quoted)
        return statistics::median(total_of(runs));
    // /proc/interrupts has all of its rows, also those of 0, but of events only
    // those are in a report that came. So a row that one of the runs has is 0
    // in the others; one that none has may be misspelt.
    if (!has_row(base_, of.row) && !has_row(now_, of.row) &&
        !of.may_be_missing) {
        auto rows = rows_of(base_);
        rows.merge(rows_of(now_));
        throw CriterionError{
            "no report has a row '" + printable(of.row) +
                "'; a ? behind it has it count as 0. There are " + kTotal +
                ", " + listed(rows),
            of.row_column};
    }
    return statistics::median(row_of(runs, of.row));
}

}  // namespace ipidefer::compare
