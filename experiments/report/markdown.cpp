// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>

#include "base/text.hpp"
#include "experiments/report/grid.hpp"
#include "experiments/report/outputs.hpp"

namespace ipidefer::report {
namespace {

/// What a guest or somebody else wrote, so that it is text within a table.
std::string cell(const std::string& text)
{
    std::string safe;
    for (const char c : printable(text)) {
        if (std::string_view{"|\\`*_<>[]&#"}.find(c) != std::string_view::npos)
            safe += '\\';
        safe += c;
    }
    return safe;
}

void add_line(std::string& text, const std::string& title,
              const std::vector<std::string>& values)
{
    text += "| " + title + " |";
    for (const std::string& value : values) text += " " + value + " |";
    text += "\n";
}

void add_row(std::string& text, const GridRow& row)
{
    std::vector<std::string> values;
    for (const auto& sample : row.samples) values.push_back(shown(sample));
    add_line(text, cell(row.title), values);
}

void add_workload(std::string& text, const LabReport& report,
                  const std::string& workload)
{
    const Grid grid = grid_of(report, workload);
    std::vector<std::string> modes;
    std::vector<std::string> runs;
    std::vector<std::string> agree;
    for (std::size_t i = 0; i < grid.modes.size(); ++i) {
        modes.push_back(cell(grid.modes[i]));
        runs.push_back(std::to_string(grid.runs[i].size()));
        agree.emplace_back(all_agree(grid.runs[i]) ? "yes" : "**no**");
    }
    text += "\n### Workload " + cell(workload) + "\n\n";
    add_line(text, "", modes);
    text += "|---|";
    for (std::size_t i = 0; i < modes.size(); ++i) text += "---:|";
    text += "\n";
    const std::vector<std::string> nothing(modes.size());
    add_line(text, "**events aimed at them**", nothing);
    for (const GridRow& row : grid.events) add_row(text, row);
    add_line(text, "**interrupts they took**", nothing);
    for (const GridRow& row : grid.interrupts) add_row(text, row);
    add_row(text, grid.total);
    add_line(text, "**and**", nothing);
    add_line(text, "runs", runs);
    add_line(text, "guest and VMM agree", agree);
}

}  // namespace

std::string to_markdown(const LabReport& report)
{
    std::string text = "## What isolated vCPUs are interrupted by\n";
    for (const std::string& workload : workloads_of(report))
        add_workload(text, report, workload);
    for (const Starved& starved : report.starved)
        if (!starved.retried)
            text += fmt::format("\nLeft out: repetition {} of {}: {}\n",
                                starved.repetition, cell(starved.arm),
                                cell(starved.reason));
    if (report.given_up)
        text += "\n**Given up:** " + cell(*report.given_up) + "\n";
    text += fmt::format(
        "\nMedians, with quartiles where there is more than one run. ipidefer "
        "{}, {}, {}, Linux {}, QEMU {}, on {}.\n",
        cell(report.ipidefer), cell(report.date), cell(report.accelerator),
        cell(report.kernel.version), cell(report.qemu.version),
        cell(report.host));
    return text;
}

}  // namespace ipidefer::report
