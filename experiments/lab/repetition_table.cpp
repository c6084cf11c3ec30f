// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/repetition_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/table.hpp"

namespace ipidefer::lab {
namespace {

/// What all runs have, or that they do not have the same.
std::string text_of(const Row& row, const ArmRuns& arm)
{
    std::set<std::string> texts;
    for (const auto& [repetition, run] : arm.runs)
        texts.insert(row.text(*run).value_or(kNoCell));
    if (texts.empty()) return kNoCell;
    return texts.size() == 1 ? *texts.begin() : "not always the same";
}

std::string median_cell(const Row& row, const statistics::Sample& sample)
{
    if (sample.empty()) return kNoCell;
    const auto quartiles = statistics::quartiles(sample);
    return shown(row, quartiles.median) + " [" + shown(row, quartiles.lower) +
           ", " + shown(row, quartiles.upper) + ']';
}

std::string agreement_cell(const ArmRuns& arm)
{
    const auto wrong = std::ranges::count_if(arm.runs, [](const auto& entry) {
        return !entry.second->disagreements.empty();
    });
    if (wrong != 0)
        return "NO, in " + std::to_string(wrong) + " of " +
               std::to_string(arm.runs.size());
    // A kernel without ipi_defer has nothing to compare.
    const bool any = std::ranges::any_of(arm.runs, [](const auto& entry) {
        return entry.second->guest_mode.has_value();
    });
    return any ? "yes" : kNoCell;
}

std::string title_of(const ArmRuns& arm)
{
    return arm.runs.empty() ? name(arm.arm)
                            : column_title(*arm.runs.begin()->second);
}

std::string medians(const Repeated& repeated)
{
    std::vector<Table::Column> heads(repeated.arms.size() + 1,
                                     Table::right(""));
    heads.front() = Table::left("");
    Table table{heads};
    const auto add = [&](const std::string& label, const auto& cell_of) {
        std::vector<std::string> cells{label};
        for (const ArmRuns& arm : repeated.arms) cells.push_back(cell_of(arm));
        table.row(std::move(cells));
    };
    add("", title_of);
    add("repetitions",
        [](const ArmRuns& arm) { return std::to_string(arm.runs.size()); });
    for (const RepeatedSection& section : repeated.sections) {
        if (!section.title.empty()) table.line(section.title);
        for (const RepeatedRow& row : section.rows) {
            auto sample = row.samples.begin();
            add(row.row.label, [&](const ArmRuns& arm) {
                const auto& of_arm = *sample++;
                return row.row.text ? text_of(row.row, arm)
                                    : median_cell(row.row, of_arm);
            });
        }
        if (section.rows.empty()) table.line(kNoRows);
    }
    add(kAgreeRow, agreement_cell);
    return table.text();
}

void add_difference(Table& table, const Row& row,
                    const statistics::Comparison& seen)
{
    table.row({row.label, shown(row, seen.difference),
               '[' + shown(row, seen.interval.low) + ", " +
                   shown(row, seen.interval.high) + ']',
               fmt::format("{:.2g}", seen.p), words_of(seen.verdict)});
}

std::string pairs_text(std::size_t pairs)
{
    return std::to_string(pairs) + (pairs == 1 ? " pair" : " pairs");
}

std::string differences(const Repeated& repeated)
{
    const ArmRuns* base = base_of(repeated);
    if (base == nullptr)
        return "without mode off there is nothing that the others are "
               "compared with\n";
    Table table{{Table::left("differences, in pairs"), Table::right("median"),
                 Table::right("95 %"), Table::right("p"), Table::left("")}};
    std::set<std::string> remarks;
    for (std::size_t i = 0; i < repeated.arms.size(); ++i) {
        const ArmRuns& arm = repeated.arms[i];
        if (&arm == base) continue;
        std::string title = name(arm.arm) + " - " + name(base->arm) + ", " +
                            pairs_text(arm.pairs);
        if (arm.arm.mode == Mode::kOff)
            title += ": the noise, they differ in nothing";
        table.line(title);
        if (arm.pairs == 0) {
            table.line(kNoRows);
            continue;
        }
        for (const RepeatedSection& section : repeated.sections)
            for (const RepeatedRow& row : section.rows)
                if (row.differences[i])
                    add_difference(table, row.row, *row.differences[i]);
        if (arm.pairs < statistics::fewest_pairs())
            remarks.insert(statistics::too_few_pairs(arm.pairs));
    }
    std::string text = table.text();
    for (const auto& remark : remarks) text += remark + '\n';
    return text;
}

/// Repetitions that an arm lacks, and why.
/// @param factors of the point of a sweep
std::string left_out(const Report& report, const ArmRuns& arm,
                     const Factors& factors)
{
    CpuSet starved;
    CpuSet others;
    for (unsigned i = 1; i <= report.repetitions->order.size(); ++i) {
        if (arm.runs.contains(i)) continue;
        const bool was_starved =
            std::ranges::any_of(report.starved, [&](const Starved& one) {
                return !one.retried && one.turn.repetition == i &&
                       one.turn.factors == factors &&
                       Arm{one.mode, one.turn.letter} == arm.arm;
            });
        (was_starved ? starved : others).insert(i);
    }
    const auto line = [&](const CpuSet& repetitions, const char* why) {
        return repetitions.empty()
                   ? std::string{}
                   : "left out: " + name(arm.arm) + " of repetition " +
                         format_cpulist(repetitions) + ", " + why + '\n';
    };
    return line(starved, "which the host starved") +
           line(others, "which did not run");
}

std::string render_workload(const Report& report, const Repeated& repeated)
{
    const Repetitions& repetitions = *report.repetitions;
    std::string text =
        workload_title(*repeated.runs.front()) + ", " +
        std::to_string(repetitions.order.size()) + " repetitions, seed " +
        std::to_string(repetitions.seed) + "; median [quartiles]\n";
    text += medians(repeated);
    for (const ArmRuns& arm : repeated.arms)
        text += left_out(report, arm, repeated.runs.front()->turn.factors);
    for (const Run* run : repeated.runs)
        for (const auto& what : run->disagreements)
            text += "  " + name(Arm{run->mode, run->turn.letter}) +
                    ", repetition " + std::to_string(run->turn.repetition) +
                    ": " + what + '\n';
    return text + '\n' + differences(repeated);
}

}  // namespace

std::string render_repetitions(const Report& report,
                               const std::vector<Repeated>& repeated)
{
    std::string text;
    for (const Repeated& of_workload : repeated) {
        if (!text.empty()) text += '\n';
        text += render_workload(report, of_workload);
    }
    return text;
}

}  // namespace ipidefer::lab
