// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/report/factors.hpp"

#include <algorithm>

#include "base/table.hpp"
#include "experiments/report/grid.hpp"
#include "experiments/report/lab_report.hpp"

namespace ipidefer::report {
namespace {

constexpr char kNoRun[] = "-";

template <class Items, class Item>
std::size_t place_of(Items& items, const Item& item)
{
    const auto found = std::ranges::find(items, item);
    if (found != items.end())
        return static_cast<std::size_t>(found - items.begin());
    items.push_back(item);
    return items.size() - 1;
}

FactorTable& table_of(std::vector<FactorTable>& tables,
                      const std::string& workload, const std::string& factor)
{
    const auto found =
        std::ranges::find_if(tables, [&](const FactorTable& table) {
            return table.workload == workload && table.factor == factor;
        });
    if (found != tables.end()) return *found;
    return tables.emplace_back(FactorTable{workload, factor, {}, {}});
}

void add(FactorTable& table, const std::string& value, const LabRun& run)
{
    const std::size_t mode = place_of(table.modes, run.mode);
    auto row = std::ranges::find(table.rows, value, &FactorTable::Row::value);
    if (row == table.rows.end())
        row = table.rows.insert(row, FactorTable::Row{value, {}});
    for (FactorTable::Row& one : table.rows)
        one.samples.resize(table.modes.size());
    row->samples[mode].push_back(interrupts_of(run));
}

}  // namespace

std::string text_of(const Factors& factors)
{
    std::string text;
    for (const auto& [name, value] : factors)
        text += (text.empty() ? "" : ", ") + name + '=' + value;
    return text;
}

std::string with_factors(const std::string& workload, const Factors& factors)
{
    return factors.empty() ? workload : workload + ", " + text_of(factors);
}

std::vector<FactorTable> factor_tables_of(const LabReport& report)
{
    std::vector<FactorTable> tables;
    for (const LabRun& run : report.runs)
        for (const auto& [factor, value] : run.factors)
            add(table_of(tables, run.script, factor), value, run);
    return tables;
}

std::vector<std::string> cells_of(const FactorTable::Row& row)
{
    std::vector<std::string> cells;
    for (const auto& sample : row.samples)
        cells.push_back(sample.empty() ? kNoRun : shown(sample));
    return cells;
}

std::string render(const std::vector<FactorTable>& tables)
{
    std::string text;
    for (const FactorTable& of : tables) {
        std::vector<Table::Column> heads(of.modes.size() + 1, Table::right(""));
        heads.front() = Table::left("");
        Table table{heads};
        table.line("workload " + printable(of.workload) + ", by " +
                   printable(of.factor) + ": interrupts that they took");
        std::vector<std::string> cells{printable(of.factor)};
        for (const auto& mode : of.modes) cells.push_back(printable(mode));
        table.row(cells);
        for (const FactorTable::Row& row : of.rows) {
            cells = cells_of(row);
            cells.insert(cells.begin(), printable(row.value));
            table.row(cells);
        }
        if (!text.empty()) text += '\n';
        text += table.text();
    }
    return text;
}

}  // namespace ipidefer::report
