// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/report/show.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <iostream>

#include "base/failure.hpp"
#include "base/file.hpp"
#include "base/option_value.hpp"
#include "base/text.hpp"
#include "experiments/report/lab_report.hpp"
#include "experiments/report/outputs.hpp"

namespace ipidefer::report {
namespace {

/// The one that is asked for, or the only one that there is.
std::string chosen(const std::string& option, const std::string& wanted,
                   const std::vector<std::string>& names)
{
    if (wanted.empty() && names.size() == 1) return names.front();
    if (wanted.empty())
        refuse_option(option, "needed, one of " + listed(names));
    if (std::ranges::find(names, wanted) == names.end())
        refuse_option(option, in_quotes(printable(wanted)) +
                                  " is not in this report, which has " +
                                  listed(names));
    return wanted;
}

/// Those whose gaps are to be shown.
LabRuns chosen_runs(const LabReport& report, const ShowOptions& options)
{
    const auto workloads = workloads_of(report);
    if (workloads.empty())
        throw Failure{Exit::kNotPossible,
                      report.file + ": no run came to its end"};
    const std::string workload =
        chosen("--workload", options.workload, workloads);
    return runs_of(report, workload,
                   chosen("--mode", options.mode, modes_of(report, workload)));
}

struct Format {
    const char* name;
    bool of_one_mode;
    std::function<std::string(const LabReport&, const ShowOptions&)> make;
};

const std::array<Format, 6>& formats()
{
    static const std::array<Format, 6> all{{
        {"csv", false,
         [](const LabReport& report, const ShowOptions&) {
             return to_csv(report);
         }},
        {"hgrm", true,
         [](const LabReport& report, const ShowOptions& options) {
             return to_hgrm(chosen_runs(report, options));
         }},
        {"html", false,
         [](const LabReport& report, const ShowOptions&) {
             return to_html(report);
         }},
        {"junit", false,
         [](const LabReport& report, const ShowOptions&) {
             return to_junit(report);
         }},
        {"markdown", false,
         [](const LabReport& report, const ShowOptions&) {
             return to_markdown(report);
         }},
        {"oslat", true,
         [](const LabReport& report, const ShowOptions& options) {
             return to_oslat(report, chosen_runs(report, options));
         }},
    }};
    return all;
}

std::vector<std::string> format_names()
{
    std::vector<std::string> names;
    for (const Format& format : formats()) names.emplace_back(format.name);
    return names;
}

}  // namespace

void add_show_options(CLI::App& app, ShowOptions& options)
{
    app.add_option("report", options.file,
                   "what ipidefer lab run --json wrote; - for standard input")
        ->type_name("FILE")
        ->required();
    app.add_option("--as", options.as, listed(format_names()))
        ->type_name("FORMAT")
        ->capture_default_str();
    app.add_option("--output", options.output, "write it here")
        ->type_name("FILE")
        ->capture_default_str();
    app.add_option("--mode", options.mode,
                   "of hgrm and oslat: whose gaps (default: the only one)");
    app.add_option("--workload", options.workload,
                   "the same (default: the only one)");
}

int show(const ShowOptions& options)
{
    const auto format = std::ranges::find_if(
        formats(), [&](const Format& one) { return options.as == one.name; });
    if (format == formats().end())
        refuse_option("--as", in_quotes(printable(options.as)) +
                                  " is none of " + listed(format_names()));
    for (const auto& [option, value] : {std::pair{"--mode", &options.mode},
                                        {"--workload", &options.workload}})
        if (!format->of_one_mode && !value->empty())
            refuse_option(option, options.as + " has all of them");
    check_output("--output", options.output);
    const LabReport report =
        read_report(options.file, read_input(options.file, kMostReportBytes));
    const std::string text = format->make(report, options);
    if (options.output == "-")
        std::cout << text;
    else
        write_whole(options.output, text);
    return static_cast<int>(Exit::kDone);
}

}  // namespace ipidefer::report
