// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>

#include "base/text.hpp"
#include "base/xml.hpp"
#include "experiments/report/grid.hpp"
#include "experiments/report/outputs.hpp"
#include "experiments/report/plots.hpp"

namespace ipidefer::report {
namespace {

constexpr char kStyle[] = R"(
:root { color-scheme: light dark; }
body { font: 16px/1.5 sans-serif; max-width: 60rem; margin: 2rem auto;
       padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { padding: .2rem .8rem; text-align: right;
         border-bottom: 1px solid #8884; }
th:first-child, td:first-child { text-align: left; }
table.facts td { text-align: left; }
tr.section th { text-align: left; padding-top: .8rem; }
code, pre { font: 14px/1.4 monospace; overflow-x: auto; }
img { max-width: 100%; height: auto; }
.wrong { font-weight: bold; }
)";

/// Text of a page, as data of an address: RFC 3986, 2.3.
std::string percent_encoded(const std::string& text)
{
    constexpr std::string_view kUnreserved =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    std::string encoded;
    for (const char c : text) {
        if (kUnreserved.find(c) != std::string_view::npos)
            encoded += c;
        else
            encoded += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return encoded;
}

std::string row_of(const std::string& title,
                   const std::vector<std::string>& cells)
{
    std::string text = "<tr><td>" + xml(title) + "</td>";
    for (const std::string& cell : cells) text += "<td>" + xml(cell) + "</td>";
    return text + "</tr>\n";
}

std::string section_of(const std::string& title, std::size_t columns)
{
    return fmt::format(
        "<tr class=\"section\"><th colspan=\"{}\">{}</th></tr>\n", columns + 1,
        xml(title));
}

std::string head_of(const std::vector<std::string>& titles)
{
    std::string text = "<table>\n<thead><tr>";
    for (const std::string& title : titles)
        text += "<th scope=\"col\">" + xml(title) + "</th>";
    return text + "</tr></thead>\n<tbody>\n";
}

constexpr char kTableEnd[] = "</tbody>\n</table>\n";

std::string grid_table(const Grid& grid)
{
    std::vector<std::string> titles{""};
    std::vector<std::string> runs;
    std::vector<std::string> agree;
    for (std::size_t i = 0; i < grid.modes.size(); ++i) {
        titles.push_back(grid.modes[i]);
        runs.push_back(std::to_string(grid.runs[i].size()));
        agree.emplace_back(all_agree(grid.runs[i]) ? "yes" : "NO");
    }
    std::string text = head_of(titles);
    const auto add = [&](const GridRow& row) {
        std::vector<std::string> cells;
        for (const auto& sample : row.samples) cells.push_back(shown(sample));
        text += row_of(row.title, cells);
    };
    text += section_of("events aimed at isolated vCPUs", grid.modes.size());
    for (const GridRow& row : grid.events) add(row);
    text += section_of("interrupts that they took", grid.modes.size());
    for (const GridRow& row : grid.interrupts) add(row);
    add(grid.total);
    if (!grid.gap_causes.empty())
        text += section_of("gaps of their loops, by what the guest did in them",
                           grid.modes.size());
    for (const GridRow& row : grid.gap_causes) add(row);
    text += section_of("and", grid.modes.size());
    text += row_of("runs", runs);
    text += row_of("guest and VMM agree", agree);
    return text + kTableEnd;
}

std::string differences_table(const std::vector<ArmDifference>& differences)
{
    if (differences.empty()) return {};
    std::string text =
        "<h3>How much, and how sure</h3>\n<p>All interrupts that isolated "
        "vCPUs took, against the first arm of off in the same repetition: "
        "the median of the differences, its bootstrap interval of 95 %, and p "
        "of Wilcoxon's signed-rank test. The second arm of off is the "
        "noise.</p>\n";
    text += head_of({"", "pairs", "difference", "95 %", "p", ""});
    for (const ArmDifference& difference : differences) {
        const auto& of = difference.comparison;
        text += row_of(
            difference.arm + " - " + difference.base,
            {std::to_string(of.count), fmt::format("{:+}", of.difference),
             fmt::format("{} to {}", of.interval.low, of.interval.high),
             fmt::format("{:.2g}", of.p), statistics::words_of(of.verdict)});
    }
    return text + kTableEnd;
}

std::string factors_text(const LabReport& report)
{
    std::string text;
    for (const FactorTable& of : factor_tables_of(report)) {
        if (text.empty()) text = "<h2>By factor</h2>\n";
        text += "<h3>Workload " + xml(of.workload) + ", by " + xml(of.factor) +
                ": interrupts that isolated vCPUs took</h3>\n";
        std::vector<std::string> titles{of.factor};
        titles.insert(titles.end(), of.modes.begin(), of.modes.end());
        text += head_of(titles);
        for (const FactorTable::Row& row : of.rows)
            text += row_of(row.value, cells_of(row));
        text += kTableEnd;
    }
    return text;
}

std::string plots_text(const LabReport& report, const std::string& workload)
{
    std::string text;
    for (const Plot& plot : plots_of(report, workload))
        text += "<figure>\n<figcaption>" + xml(plot.title) +
                "</figcaption>\n<img alt=\"" + xml(plot.description) +
                "\" src=\"data:image/svg+xml," + percent_encoded(drawn(plot)) +
                "\">\n</figure>\n";
    return text;
}

std::string disagreements_of(const LabReport& report,
                             const std::string& workload)
{
    std::string text;
    for (const LabRun& run : report.runs)
        if (run.workload == workload)
            for (const std::string& why : run.disagreements)
                text += "<li class=\"wrong\">" +
                        xml(fmt::format("{}, repetition {}: {}", run.arm,
                                        run.repetition, why)) +
                        "</li>\n";
    return text.empty() ? text : "<ul>\n" + text + "</ul>\n";
}

std::string left_out_of(const LabReport& report)
{
    std::string text;
    for (const Starved& starved : report.starved)
        if (!starved.retried)
            text +=
                "<p>Left out, as the host starved it: " +
                xml(fmt::format("repetition {} of {}: {}", starved.repetition,
                                starved.arm, starved.reason)) +
                "</p>\n";
    if (report.given_up)
        text +=
            "<p class=\"wrong\">Given up: " + xml(*report.given_up) + "</p>\n";
    return text;
}

std::string provenance_of(const LabReport& report)
{
    std::string text =
        "<h2>Where this comes from</h2>\n<table class=\"facts\">\n<tbody>\n";
    const auto program = [](const Program& of) {
        return of.sha256.empty() ? of.version
                                 : of.version + ", SHA-256 " + of.sha256;
    };
    for (const auto& [title, value] :
         {std::pair{"date", report.date},
          {"ipidefer", report.ipidefer},
          {"accelerator", report.accelerator},
          {"host", report.host},
          {"guest's kernel", program(report.kernel)},
          {"QEMU", program(report.qemu)},
          {"vCPUs", report.cpus},
          {"memory", report.memory}})
        text += row_of(title, {value});
    for (const auto& [mode, line] : report.command_lines)
        text += row_of("kernel's command line, " + mode, {line});
    text += kTableEnd;
    text += "<h2>How to do it again</h2>\n<pre>" + xml(report.command_line) +
            "</pre>\n";
    if (report.accelerator.find("tcg") != std::string::npos)
        text +=
            "<p>The guest was emulated. Counts are exact; times, those of the "
            "gaps among them, are the host's as much as the guest's.</p>\n";
    return text;
}

}  // namespace

std::string to_html(const LabReport& report)
{
    std::string text = fmt::format(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n"
        "<meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width\">\n"
        // Whatever a report says, nothing is fetched and nothing runs.
        "<meta http-equiv=\"Content-Security-Policy\" "
        "content=\"default-src 'none'; img-src data:; "
        "style-src 'unsafe-inline'\">\n"
        "<title>Interrupts of isolated vCPUs</title>\n"
        "<style>{}</style>\n</head>\n<body>\n"
        "<h1>Interrupts of isolated vCPUs</h1>\n"
        "<p>Who defers: nobody in <i>off</i>, the guest's kernel by itself in "
        "<i>guest</i>, the hypervisor in <i>hv</i>, the host's KVM in "
        "<i>kvm</i>. Of several runs there are medians, with quartiles.</p>\n",
        kStyle);
    for (const std::string& workload : workloads_of(report)) {
        text += "<h2>Workload " + xml(workload) + "</h2>\n";
        text += grid_table(grid_of(report, workload));
        text += disagreements_of(report, workload);
        text += differences_table(differences_of(report, workload));
        text += plots_text(report, workload);
    }
    text += factors_text(report);
    text += left_out_of(report);
    text += provenance_of(report);
    return text + "</body>\n</html>\n";
}

}  // namespace ipidefer::report
