// SPDX-License-Identifier: GPL-2.0-or-later
// Differences, for people and for programs.
#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/table.hpp"
#include "base/text.hpp"
#include "experiments/compare/differences.hpp"

namespace ipidefer::compare {
namespace {

using Json = nlohmann::ordered_json;

/// "20", or "20 [19, 21]": median and quartiles.
std::string sample_text(const statistics::Sample& sample)
{
    const auto quartiles = statistics::quartiles(sample);
    if (sample.size() == 1) return number_text(quartiles.median);
    return fmt::format("{} [{}, {}]", number_text(quartiles.median),
                       number_text(quartiles.lower),
                       number_text(quartiles.upper));
}

double difference_of(const RowDifference& row)
{
    return statistics::median(row.now) - statistics::median(row.base);
}

/// "+2 (+5 %)"; there are no percent of nothing.
std::string difference_text(const RowDifference& row)
{
    const double difference = difference_of(row);
    if (difference == 0) return "0";
    std::string text = (difference > 0 ? "+" : "") + number_text(difference);
    if (const double base = statistics::median(row.base); base != 0)
        text += fmt::format(" ({:+.3g} %)", 100 * difference / base);
    return text;
}

std::string runs_text(std::size_t runs)
{
    return std::to_string(runs) + (runs == 1 ? " run" : " runs");
}

void add_mode(Table& table, const ModeDifference& mode)
{
    table.line(printable(mode.mode) + ", " + runs_text(mode.base_runs) +
               " and " + runs_text(mode.now_runs));
    for (const RowDifference& row : mode.rows) {
        std::string interval;
        std::string p;
        std::string verdict;
        if (row.comparison) {
            interval = fmt::format("[{}, {}]",
                                   number_text(row.comparison->interval.low),
                                   number_text(row.comparison->interval.high));
            p = fmt::format("{:.2g}", row.comparison->p);
            verdict = words_of(row.comparison->verdict);
        }
        table.row({"  " + printable(row.row), sample_text(row.base),
                   sample_text(row.now), difference_text(row), interval, p,
                   verdict});
    }
}

bool has_statistics(const WorkloadDifference& workload)
{
    for (const auto& mode : workload.modes)
        for (const auto& row : mode.rows)
            if (row.comparison) return true;
    return false;
}

Json comparison_json(const std::optional<statistics::Comparison>& comparison)
{
    if (!comparison) return nullptr;
    return {{"verdict", words_of(comparison->verdict)},
            {"interval", {comparison->interval.low, comparison->interval.high}},
            {"p", comparison->p}};
}

}  // namespace

std::string render(const std::vector<WorkloadDifference>& differences)
{
    std::string text;
    for (const WorkloadDifference& workload : differences) {
        const bool statistics = has_statistics(workload);
        Table table{{Table::left(""), Table::right("base"), Table::right("new"),
                     Table::right("difference"),
                     Table::right(statistics ? "95 %" : ""),
                     Table::right(statistics ? "p" : ""), Table::left("")}};
        for (const ModeDifference& mode : workload.modes) add_mode(table, mode);
        if (!text.empty()) text += '\n';
        text += "workload " + printable(workload.workload) + '\n';
        text += table.text();
    }
    return text;
}

Json to_json(const std::vector<WorkloadDifference>& differences)
{
    Json workloads = Json::array();
    for (const WorkloadDifference& workload : differences) {
        Json modes = Json::array();
        for (const ModeDifference& mode : workload.modes) {
            Json rows = Json::array();
            for (const RowDifference& row : mode.rows)
                rows.push_back(
                    {{"row", row.row},
                     {"base", row.base},
                     {"new", row.now},
                     {"difference", difference_of(row)},
                     {"comparison", comparison_json(row.comparison)}});
            modes.push_back({{"mode", mode.mode}, {"rows", rows}});
        }
        workloads.push_back(
            {{"workload", workload.workload}, {"modes", modes}});
    }
    return workloads;
}

}  // namespace ipidefer::compare
