// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/report/grid.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

namespace ipidefer::report {
namespace {

std::vector<GridRow> rows_of(const std::vector<LabRuns>& runs,
                             RowCounts LabRun::*counts)
{
    std::set<std::string> titles;
    for (const LabRuns& of_mode : runs)
        for (const LabRun* run : of_mode)
            for (const auto& [row, count] : run->*counts)
                if (count != 0) titles.insert(row);
    std::vector<GridRow> rows;
    for (const std::string& title : titles) {
        GridRow& row = rows.emplace_back(GridRow{title, {}});
        for (const LabRuns& of_mode : runs) {
            statistics::Sample& sample = row.samples.emplace_back();
            for (const LabRun* run : of_mode) {
                const auto found = (run->*counts).find(title);
                sample.push_back(found == (run->*counts).end()
                                     ? 0
                                     : static_cast<double>(found->second));
            }
        }
    }
    return rows;
}

}  // namespace

Grid grid_of(const LabReport& report, const std::string& workload)
{
    Grid grid;
    grid.modes = modes_of(report, workload);
    grid.total.title = "all";
    for (const std::string& mode : grid.modes) {
        grid.runs.push_back(runs_of(report, workload, mode));
        grid.total.samples.push_back(total_of(grid.runs.back()));
    }
    grid.events = rows_of(grid.runs, &LabRun::events);
    grid.interrupts = rows_of(grid.runs, &LabRun::interrupts);
    grid.gap_causes = rows_of(grid.runs, &LabRun::gap_causes);
    return grid;
}

std::string shown(const statistics::Sample& sample)
{
    const auto of = statistics::quartiles(sample);
    if (sample.size() == 1) return fmt::format("{}", of.median);
    return fmt::format("{} ({} to {})", of.median, of.lower, of.upper);
}

std::vector<ArmDifference> differences_of(const LabReport& report,
                                          const std::string& workload)
{
    std::vector<std::string> arms;
    std::map<std::string, std::map<unsigned, double>> counts;
    for (const LabRun& run : report.runs) {
        if (run.workload != workload) continue;
        if (!counts.contains(run.arm)) arms.push_back(run.arm);
        counts[run.arm][run.repetition] = interrupts_of(run);
    }
    // Arms come in an order that was drawn.
    std::ranges::sort(arms);
    const auto base = std::ranges::find_if(
        arms, [](const std::string& arm) { return arm.starts_with("off/"); });
    std::vector<ArmDifference> differences;
    if (base == arms.end()) return differences;
    for (const std::string& arm : arms) {
        if (arm == *base) continue;
        statistics::Sample before;
        statistics::Sample after;
        for (const auto& [repetition, count] : counts[*base])
            if (const auto found = counts[arm].find(repetition);
                found != counts[arm].end()) {
                before.push_back(count);
                after.push_back(found->second);
            }
        if (!before.empty())
            differences.push_back({arm, *base,
                                   statistics::compare_pairs(
                                       before, after, {.seed = report.seed})});
    }
    return differences;
}

}  // namespace ipidefer::report
