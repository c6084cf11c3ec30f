// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/table.hpp"

#include <optional>
#include <set>
#include <utility>

#include "base/table.hpp"
#include "experiments/lab/rows.hpp"

namespace ipidefer::lab {
namespace {

/// What a run has in a row.
std::optional<std::string> cell(const Row& row, const Run& run)
{
    if (row.text) return row.text(run);
    const auto number = row.number(run);
    if (!number) return std::nullopt;
    return shown(row, *number);
}

std::string render(const Runs& runs)
{
    std::vector<Table::Column> columns(runs.size() + 1, Table::right(""));
    columns.front() = Table::left("");
    Table table{columns};
    const auto add = [&](const std::string& label, const auto& cell_of) {
        std::vector<std::string> cells{label};
        for (const Run* run : runs) cells.push_back(cell_of(*run));
        table.row(std::move(cells));
    };
    table.line(workload_title(*runs.front()));
    add("", column_title);
    for (const Section& section : sections_of(runs)) {
        if (!section.title.empty()) table.line(section.title);
        for (const Row& row : section.rows)
            add(row.label, [&](const Run& run) {
                return cell(row, run).value_or(kNoCell);
            });
        if (section.rows.empty()) table.line(kNoRows);
    }
    add(kAgreeRow, [](const Run& run) -> std::string {
        if (!run.disagreements.empty()) return "NO";
        // A kernel without ipi_defer has nothing to compare.
        return run.guest_mode ? "yes" : kNoCell;
    });
    return table.text();
}

}  // namespace

std::string render_tables(const std::vector<Run>& runs)
{
    std::string text;
    std::set<std::string> done;
    for (const auto& first : runs) {
        if (!done.insert(group_of(first)).second) continue;
        Runs same;
        for (const auto& run : runs)
            if (group_of(run) == group_of(first)) same.push_back(&run);
        if (!text.empty()) text += '\n';
        text += render(same);
        for (const Run* run : same)
            for (const auto& what : run->disagreements)
                text +=
                    "  " + std::string{name(run->mode)} + ": " + what + '\n';
    }
    return text;
}

}  // namespace ipidefer::lab
