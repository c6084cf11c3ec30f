// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/report/plots.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>

#include "base/failure.hpp"
#include "base/file.hpp"
#include "base/program.hpp"
#include "base/scratch.hpp"
#include "base/text.hpp"
#include "experiments/report/gaps.hpp"

namespace ipidefer::report {
namespace {

constexpr char kGnuplot[] = "/usr/bin/gnuplot";
/// Okabe and Ito's, which those who do not see all colours can tell apart.
constexpr std::array kColours{"#0072b2", "#d55e00", "#009e73",
                              "#cc79a7", "#e69f00", "#56b4e9"};

/// A string of gnuplot's. What a report says is not trusted: in single quotes
/// nothing is special but these.
std::string quoted(const std::string& text)
{
    std::string safe = "'";
    for (const char c : printable(text)) {
        if (c == '\'') safe += '\'';
        safe += c;
    }
    return safe + "'";
}

/// A field of inline data, which cannot have quotes in it.
std::string field(const std::string& text)
{
    std::string safe = printable(text);
    std::ranges::replace(safe, '"', '\'');
    return '"' + safe + '"';
}

std::string head()
{
    std::string script =
        "set terminal svg size 760,360 font 'sans-serif,12' noenhanced "
        "background '#ffffff'\n"
        "set encoding utf8\nset grid ytics lc rgb '#dddddd'\n"
        "set border 3\nset tics nomirror\nset key outside right top\n";
    for (std::size_t i = 0; i < kColours.size(); ++i)
        script += fmt::format("set linetype {} lc rgb '{}' lw 2 pt 7 ps 0.5\n",
                              i + 1, kColours[i]);
    return script;
}

Plot interrupts_plot(const Grid& grid)
{
    std::string script = head() + "$counts << EOD\n\"\"";
    for (const std::string& mode : grid.modes) script += ' ' + field(mode);
    script += '\n';
    for (const GridRow& row : grid.interrupts) {
        script += field(row.title);
        for (const auto& sample : row.samples)
            script += fmt::format(" {}", statistics::median(sample));
        script += '\n';
    }
    script +=
        "EOD\nset style data histograms\nset style fill solid\n"
        "set style histogram clustered gap 1\nset yrange [0:*]\n"
        "set ylabel 'interrupts taken'\n";
    script += fmt::format(
        "plot for [i=2:{}] $counts using i:xtic(1) title columnheader(i) "
        "linetype i-1\n",
        grid.modes.size() + 1);
    return {"Interrupts that isolated vCPUs took",
            "Bars: rows of /proc/interrupts, and the median of each mode.",
            script};
}

/// Lines in one plot: what belongs together, by mode or arm.
std::string lines(const std::vector<std::string>& names,
                  const std::string& style)
{
    std::string script = "plot ";
    for (std::size_t i = 0; i < names.size(); ++i)
        script += fmt::format("{}$line{} using 1:2 with {} title {}",
                              i == 0 ? "" : ", ", i, style, quoted(names[i]));
    return script + '\n';
}

/// Shares of gaps that are longer, by mode.
Plot gaps_plot(const Grid& grid)
{
    std::string script = head();
    std::vector<std::string> names;
    for (std::size_t i = 0; i < grid.modes.size(); ++i) {
        const Loop all = all_loops_of(grid.runs[i]);
        script += fmt::format("$line{} << EOD\n", names.size());
        const auto total = static_cast<double>(total_of(all.gaps));
        std::uint64_t seen = 0;
        for (const auto& [up_to, count] : all.gaps) {
            seen += count;
            const double longer = 1 - static_cast<double>(seen) / total;
            if (longer > 0)
                script +=
                    fmt::format("{} {}\n",
                                static_cast<double>(known_end(up_to, all)) /
                                    static_cast<double>(kNsInAMicrosecond),
                                longer);
        }
        script += "EOD\n";
        names.push_back(grid.modes[i]);
    }
    script +=
        "set logscale xy\nset format y '%g'\n"
        "set xlabel 'gap between two reads of the TSC, us'\n"
        "set ylabel 'share of gaps that are longer'\n";
    return {"Gaps of the loops",
            "Lines, both axes logarithmic: for each length of a gap the share "
            "of all gaps that are longer, by mode.",
            script + lines(names, "lines")};
}

bool lists_gaps(const LabRuns& runs)
{
    return std::ranges::any_of(runs, [](const LabRun* run) {
        return std::ranges::any_of(run->loops, [](const auto& loop) {
            return !loop.second.listed.empty();
        });
    });
}

/// One run of each mode: those of others would lie on top of it.
Plot timeline_plot(const Grid& grid)
{
    constexpr double kNsInASecond = 1e9;
    std::string script = head();
    std::vector<std::string> names;
    std::uint64_t left_out = 0;
    for (std::size_t i = 0; i < grid.modes.size(); ++i) {
        if (!lists_gaps(grid.runs[i])) continue;
        script += fmt::format("$line{} << EOD\n", names.size());
        for (const auto& [cpu, loop] : grid.runs[i].front()->loops) {
            left_out += loop.left_out;
            for (const ListedGap& gap : loop.listed)
                script += fmt::format(
                    "{} {}\n", static_cast<double>(gap.start_ns) / kNsInASecond,
                    static_cast<double>(gap.length_ns) /
                        static_cast<double>(kNsInAMicrosecond));
        }
        script += "EOD\n";
        names.push_back(grid.modes[i]);
    }
    script +=
        "set logscale y\nset format y '%g'\nset xrange [0:*]\n"
        "set xlabel 'time since the loops were marked, s'\n"
        "set ylabel 'length of the gap, us'\n";
    std::string title = "Gaps of the loops, over time";
    if (left_out != 0)
        title += fmt::format(" (the longest; {} more are left out)", left_out);
    return {title,
            "Points: each gap of the first run of each mode, when it came and "
            "how long it was.",
            script + lines(names, "points")};
}

Plot repetitions_plot(const LabReport& report, const std::string& workload)
{
    std::map<std::string, std::string> arms;
    for (const LabRun& run : report.runs)
        if (run.workload == workload)
            arms[run.arm] +=
                fmt::format("{} {}\n", run.repetition, interrupts_of(run));
    std::string script = head();
    std::vector<std::string> names;
    for (const auto& [arm, points] : arms) {
        script += fmt::format("$line{} << EOD\n{}EOD\n", names.size(), points);
        names.push_back(arm);
    }
    script +=
        "set xlabel 'repetition'\nset ylabel 'interrupts taken'\n"
        "set yrange [0:*]\nset xtics 1\nset offsets 0.5, 0.5, 0, 0\n";
    return {"Interrupts by repetition",
            "Points: for each repetition all interrupts that isolated vCPUs "
            "took, by arm.",
            script + lines(names, "linespoints")};
}

bool has_gaps(const Grid& grid)
{
    return std::ranges::all_of(grid.runs, [](const LabRuns& runs) {
        return std::ranges::any_of(runs, [](const LabRun* run) {
            return std::ranges::any_of(run->loops, [](const auto& loop) {
                return !loop.second.gaps.empty();
            });
        });
    });
}

}  // namespace

std::vector<Plot> plots_of(const LabReport& report, const std::string& workload)
{
    const Grid grid = grid_of(report, workload);
    std::vector<Plot> plots;
    if (!grid.interrupts.empty()) plots.push_back(interrupts_plot(grid));
    if (has_gaps(grid)) plots.push_back(gaps_plot(grid));
    if (std::ranges::any_of(grid.runs, lists_gaps))
        plots.push_back(timeline_plot(grid));
    if (std::ranges::any_of(
            grid.runs, [](const LabRuns& runs) { return runs.size() > 1; }))
        plots.push_back(repetitions_plot(report, workload));
    return plots;
}

void check_gnuplot()
{
    if (!std::filesystem::exists(kGnuplot))
        throw Failure{Exit::kNotPossible,
                      std::string{kGnuplot} +
                          " is not there, which draws the plots (Debian "
                          "package gnuplot-nox)"};
}

std::string drawn(const Plot& plot)
{
    check_gnuplot();
    const Scratch scratch;
    const auto script = scratch.path() / "plot.gp";
    const auto picture = scratch.path() / "plot.svg";
    // Not to standard output, where its warnings would be among it.
    write_whole(script, "set output " + quoted(picture.string()) + '\n' +
                            plot.script + "unset output\n");
    const auto result = run_program(kGnuplot, {script.string()});
    if (result.status != 0)
        throw Failure{Exit::kCannotRun,
                      "gnuplot could not draw '" + plot.title + "', status " +
                          std::to_string(result.status),
                      result.output};
    return read_whole(picture);
}

}  // namespace ipidefer::report
