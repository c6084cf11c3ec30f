// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/repetition_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/table.hpp"
#include "experiments/lab/rows.hpp"
#include "experiments/statistics/comparison.hpp"

namespace ipidefer::lab {
namespace {

/// One arm's runs of a workload, by repetition.
using ByRepetition = std::map<unsigned, const Run*>;

struct Column {
    Arm arm;
    ByRepetition runs;
};

std::vector<Column> columns_of(const Report& report,
                               const std::string& workload)
{
    std::vector<Column> columns;
    for (const Arm& arm : report.repetitions->arms) {
        Column column{arm, {}};
        for (const Run& run : report.runs)
            if (run.workload == workload &&
                Arm{run.mode, run.turn.letter} == arm)
                column.runs[run.turn.repetition] = &run;
        columns.push_back(std::move(column));
    }
    return columns;
}

statistics::Sample sample_of(const Row& row, const ByRepetition& runs)
{
    statistics::Sample sample;
    for (const auto& [repetition, run] : runs)
        if (const auto number = row.number(*run)) sample.push_back(*number);
    return sample;
}

/// What all runs have, or that they do not have the same.
std::string text_of(const Row& row, const ByRepetition& runs)
{
    std::set<std::string> texts;
    for (const auto& [repetition, run] : runs)
        texts.insert(row.text(*run).value_or(kNoCell));
    if (texts.empty()) return kNoCell;
    return texts.size() == 1 ? *texts.begin() : "not always the same";
}

std::string median_cell(const Row& row, const ByRepetition& runs)
{
    if (row.text) return text_of(row, runs);
    const auto sample = sample_of(row, runs);
    if (sample.empty()) return kNoCell;
    const auto quartiles = statistics::quartiles(sample);
    return shown(row, quartiles.median) + " [" + shown(row, quartiles.lower) +
           ", " + shown(row, quartiles.upper) + ']';
}

std::string agreement_cell(const ByRepetition& runs)
{
    const auto wrong = std::ranges::count_if(runs, [](const auto& entry) {
        return !entry.second->disagreements.empty();
    });
    if (wrong != 0)
        return "NO, in " + std::to_string(wrong) + " of " +
               std::to_string(runs.size());
    // A kernel without ipi_defer has nothing to compare.
    const bool any = std::ranges::any_of(runs, [](const auto& entry) {
        return entry.second->guest_mode.has_value();
    });
    return any ? "yes" : kNoCell;
}

std::string title_of(const Column& column)
{
    return column.runs.empty() ? name(column.arm)
                               : column_title(*column.runs.begin()->second);
}

std::string medians(const std::vector<Section>& sections,
                    const std::vector<Column>& columns)
{
    std::vector<Table::Column> heads(columns.size() + 1, Table::right(""));
    heads.front() = Table::left("");
    Table table{heads};
    const auto add = [&](const std::string& label, const auto& cell_of) {
        std::vector<std::string> cells{label};
        for (const Column& column : columns) cells.push_back(cell_of(column));
        table.row(std::move(cells));
    };
    add("", title_of);
    add("repetitions", [](const Column& column) {
        return std::to_string(column.runs.size());
    });
    for (const Section& section : sections) {
        if (!section.title.empty()) table.line(section.title);
        for (const Row& row : section.rows)
            add(row.label, [&](const Column& column) {
                return median_cell(row, column.runs);
            });
        if (section.rows.empty()) table.line(kNoRows);
    }
    add(kAgreeRow,
        [](const Column& column) { return agreement_cell(column.runs); });
    return table.text();
}

/// Repetitions that both have.
std::pair<ByRepetition, ByRepetition> pairs_of(const Column& base,
                                               const Column& other)
{
    std::pair<ByRepetition, ByRepetition> pairs;
    for (const auto& [repetition, run] : base.runs)
        if (const auto found = other.runs.find(repetition);
            found != other.runs.end()) {
            pairs.first.emplace(repetition, run);
            pairs.second.emplace(repetition, found->second);
        }
    return pairs;
}

void add_difference(Table& table, const Row& row, const ByRepetition& base,
                    const ByRepetition& other, std::uint64_t seed)
{
    statistics::Sample before;
    statistics::Sample after;
    for (const auto& [repetition, run] : base) {
        const auto one = row.number(*run);
        const auto another = row.number(*other.at(repetition));
        if (!one || !another) continue;
        before.push_back(*one);
        after.push_back(*another);
    }
    // What off cannot have is no difference: verdicts without a VMM's object.
    if (before.empty()) return;
    const auto seen = statistics::compare_pairs(before, after, {seed});
    table.row({row.label, shown(row, seen.difference),
               '[' + shown(row, seen.interval.low) + ", " +
                   shown(row, seen.interval.high) + ']',
               fmt::format("{:.2g}", seen.p), words_of(seen.verdict)});
}

std::string pairs_text(std::size_t pairs)
{
    return std::to_string(pairs) + (pairs == 1 ? " pair" : " pairs");
}

std::string differences(const std::vector<Section>& sections,
                        const std::vector<Column>& columns, std::uint64_t seed)
{
    const auto base =
        std::ranges::find(columns, Arm{Mode::kOff, 'A'}, &Column::arm);
    if (base == columns.end())
        return "without mode off there is nothing that the others are "
               "compared with\n";
    Table table{{Table::left("differences, in pairs"), Table::right("median"),
                 Table::right("95 %"), Table::right("p"), Table::left("")}};
    std::set<std::string> remarks;
    for (const Column& column : columns) {
        if (column.arm == base->arm) continue;
        const auto [before, after] = pairs_of(*base, column);
        std::string title = name(column.arm) + " - " + name(base->arm) + ", " +
                            pairs_text(before.size());
        if (column.arm.mode == Mode::kOff)
            title += ": the noise, they differ in nothing";
        table.line(title);
        if (before.empty()) {
            table.line(kNoRows);
            continue;
        }
        for (const Section& section : sections)
            for (const Row& row : section.rows)
                if (!row.text) add_difference(table, row, before, after, seed);
        if (before.size() < statistics::fewest_pairs())
            remarks.insert(statistics::too_few_pairs(before.size()));
    }
    std::string text = table.text();
    for (const auto& remark : remarks) text += remark + '\n';
    return text;
}

/// Repetitions that an arm lacks, and why.
std::string left_out(const Report& report, const Column& column)
{
    CpuSet starved;
    CpuSet others;
    for (unsigned i = 1; i <= report.repetitions->order.size(); ++i) {
        if (column.runs.contains(i)) continue;
        const bool was_starved =
            std::ranges::any_of(report.starved, [&](const Starved& one) {
                return !one.retried && one.turn.repetition == i &&
                       Arm{one.mode, one.turn.letter} == column.arm;
            });
        (was_starved ? starved : others).insert(i);
    }
    const auto line = [&](const CpuSet& repetitions, const char* why) {
        return repetitions.empty()
                   ? std::string{}
                   : "left out: " + name(column.arm) + " of repetition " +
                         format_cpulist(repetitions) + ", " + why + '\n';
    };
    return line(starved, "which the host starved") +
           line(others, "which did not run");
}

std::vector<std::string> workloads_of(const Report& report)
{
    std::vector<std::string> names;
    for (const Run& run : report.runs)
        if (std::ranges::find(names, run.workload) == names.end())
            names.push_back(run.workload);
    return names;
}

std::string render_workload(const Report& report, const std::string& workload)
{
    Runs runs;
    for (const Run& run : report.runs)
        if (run.workload == workload) runs.push_back(&run);
    const auto columns = columns_of(report, workload);
    const auto sections = sections_of(runs);
    const Repetitions& repetitions = *report.repetitions;
    std::string text =
        workload_title(*runs.front()) + ", " +
        std::to_string(repetitions.order.size()) + " repetitions, seed " +
        std::to_string(repetitions.seed) + "; median [quartiles]\n";
    text += medians(sections, columns);
    for (const Column& column : columns) text += left_out(report, column);
    for (const Run* run : runs)
        for (const auto& what : run->disagreements)
            text += "  " + name(Arm{run->mode, run->turn.letter}) +
                    ", repetition " + std::to_string(run->turn.repetition) +
                    ": " + what + '\n';
    return text + '\n' + differences(sections, columns, repetitions.seed);
}

}  // namespace

std::string render_repetitions(const Report& report)
{
    std::string text;
    for (const auto& workload : workloads_of(report)) {
        if (!text.empty()) text += '\n';
        text += render_workload(report, workload);
    }
    return text;
}

std::vector<std::string> without_runs(const Report& report,
                                      const std::vector<std::string>& workloads)
{
    std::vector<std::string> names;
    for (const auto& workload : workloads)
        for (const Column& column : columns_of(report, workload))
            if (column.runs.empty())
                names.push_back(name(column.arm) + " of workload " + workload);
    return names;
}

}  // namespace ipidefer::lab
