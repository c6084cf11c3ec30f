// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.hpp"
#include "experiments/report/outputs.hpp"
#include "experiments/statistics/sample.hpp"

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

std::string shown(const statistics::Sample& sample)
{
    const auto of = statistics::quartiles(sample);
    if (sample.size() == 1) return fmt::format("{}", of.median);
    return fmt::format("{} ({} to {})", of.median, of.lower, of.upper);
}

using Modes = std::vector<std::pair<std::string, LabRuns>>;

void add_line(std::string& text, const std::string& title, const Modes& modes,
              const std::function<std::string(const LabRuns&)>& value)
{
    text += "| " + title + " |";
    for (const auto& [mode, runs] : modes) text += " " + value(runs) + " |";
    text += "\n";
}

void add_rows(std::string& text, const Modes& modes, RowCounts LabRun::*counts)
{
    std::set<std::string> rows;
    for (const auto& [mode, runs] : modes)
        for (const LabRun* run : runs)
            for (const auto& [row, count] : run->*counts)
                if (count != 0) rows.insert(row);
    for (const std::string& row : rows)
        add_line(text, cell(row), modes, [&](const LabRuns& runs) {
            statistics::Sample sample;
            for (const LabRun* run : runs) {
                const auto found = (run->*counts).find(row);
                sample.push_back(found == (run->*counts).end()
                                     ? 0
                                     : static_cast<double>(found->second));
            }
            return shown(sample);
        });
}

}  // namespace

std::string to_markdown(const LabReport& report)
{
    std::string text = "## What isolated vCPUs are interrupted by\n";
    for (const std::string& workload : workloads_of(report)) {
        Modes modes;
        for (const std::string& mode : modes_of(report, workload))
            modes.emplace_back(mode, runs_of(report, workload, mode));
        text += "\n### Workload " + cell(workload) + "\n\n| |";
        for (const auto& [mode, runs] : modes) text += " " + cell(mode) + " |";
        text += "\n|---|";
        for (std::size_t i = 0; i < modes.size(); ++i) text += "---:|";
        text += "\n";
        const auto bold = [&](const char* title) {
            add_line(text, std::string{"**"} + title + "**", modes,
                     [](const LabRuns&) { return std::string{}; });
        };
        bold("events aimed at them");
        add_rows(text, modes, &LabRun::events);
        bold("interrupts they took");
        add_rows(text, modes, &LabRun::interrupts);
        add_line(text, "all", modes,
                 [](const LabRuns& runs) { return shown(total_of(runs)); });
        bold("and");
        add_line(text, "runs", modes, [](const LabRuns& runs) {
            return std::to_string(runs.size());
        });
        add_line(text, "guest and VMM agree", modes, [](const LabRuns& runs) {
            return std::string{
                std::ranges::all_of(
                    runs, [](const LabRun* run) { return run->agree; })
                    ? "yes"
                    : "**no**"};
        });
    }
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
