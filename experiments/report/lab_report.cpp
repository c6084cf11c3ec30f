// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/report/lab_report.hpp"

#include <algorithm>
#include <numeric>

#include "base/failure.hpp"
#include "base/json_reader.hpp"
#include "base/option_value.hpp"
#include "base/text.hpp"

namespace ipidefer::report {
namespace {

using Json = nlohmann::ordered_json;

/// A thousand repetitions of four modes, and room for more workloads.
constexpr JsonBounds kReportBounds{.max_bytes = kMostReportBytes};

unsigned number_in(const std::string& text)
{
    const auto number = number_of<unsigned>(text);
    if (!number)
        throw Failure{Exit::kCannotRun,
                      in_quotes(printable(text)) + " is no number"};
    return *number;
}

/// Reports of before there were repetitions have a mode only.
template <class Part>
void read_turn(const Json& json, Part& part)
{
    json.at("mode").get_to(part.mode);
    part.arm = json.value("arm", part.mode);
    part.repetition = json.value("repetition", 1U);
}

/// nlohmann::json takes -1 and 0.5 for unsigned numbers too.
RowCounts read_counts(const Json& json, const char* name)
{
    RowCounts counts;
    for (const auto& [row, count] : json.at(name).items()) {
        if (!count.is_number_unsigned())
            throw Failure{
                Exit::kCannotRun,
                std::string{name} + " '" + printable(row) + "' has no count"};
        counts[row] = count.get<std::uint64_t>();
    }
    return counts;
}

void read_listed(const Json& json, Loop& loop)
{
    json.at("left_out").get_to(loop.left_out);
    const Json& starts = json.at("start_ns");
    const Json& lengths = json.at("length_ns");
    const Json& causes = json.at("cause");
    if (starts.size() != lengths.size() || starts.size() != causes.size())
        throw Failure{Exit::kCannotRun,
                      "listed_gaps has columns of " +
                          std::to_string(starts.size()) + ", " +
                          std::to_string(lengths.size()) + " and " +
                          std::to_string(causes.size()) + " entries"};
    for (std::size_t i = 0; i < starts.size(); ++i)
        loop.listed.push_back({starts[i].get<std::uint64_t>(),
                               lengths[i].get<std::uint64_t>(),
                               causes[i].get<std::string>()});
}

Loop read_loop(const Json& json)
{
    Loop loop;
    json.at("interruptions").get_to(loop.interruptions);
    json.at("longest_gap_ns").get_to(loop.longest_ns);
    if (json.contains("listed_gaps")) read_listed(json["listed_gaps"], loop);
    if (!json.contains("gaps_ns")) return loop;
    for (const auto& [up_to, count] : read_counts(json, "gaps_ns")) {
        const auto ns = number_of<std::uint64_t>(up_to);
        if (!ns)
            throw Failure{Exit::kCannotRun,
                          in_quotes(printable(up_to)) + " is no number of ns"};
        loop.gaps[*ns] = count;
    }
    return loop;
}

LabRun read_run(const Json& json)
{
    LabRun run;
    json.at("workload").get_to(run.script);
    // Older labs swept nothing.
    if (json.contains("factors"))
        for (const auto& [name, value] : json["factors"].items())
            run.factors.emplace_back(name, value.get<std::string>());
    run.workload = with_factors(run.script, run.factors);
    read_turn(json, run);
    json.at("milliseconds").get_to(run.milliseconds);
    run.interrupts = read_counts(json.at("guest"), "interrupts");
    run.events = read_counts(json.at("guest"), "events");
    json.at("isolated").get_to(run.isolated);
    for (const auto& [cpu, loop] : json.at("guest").at("loop").items())
        run.loops[number_in(cpu)] = read_loop(loop);
    for (const auto& [cpu, loop] : run.loops)
        for (const ListedGap& gap : loop.listed) ++run.gap_causes[gap.cause];
    run.nested = !json.at("nested").is_null();
    json.at("agree").get_to(run.agree);
    json.at("disagreements").get_to(run.disagreements);
    return run;
}

/// What follows an option of QEMU's; empty without it.
std::string argument_of(const Json& command, std::string_view option)
{
    const auto found = std::ranges::find_if(
        command, [&](const Json& word) { return word == option; });
    if (found == command.end() || found + 1 == command.end()) return {};
    return (found + 1)->get<std::string>();
}

std::string text_or_nothing(const Json& json)
{
    return json.is_null() ? std::string{} : json.get<std::string>();
}

void read_provenance(const Json& json, LabReport& report)
{
    json.at("ipidefer").get_to(report.ipidefer);
    json.at("date").get_to(report.date);
    json.at("accelerator").get_to(report.accelerator);
    json.at("command_line").get_to(report.command_line);
    const Json& host = json.at("host");
    report.host = host.at("kernel").get<std::string>() + ", " +
                  std::to_string(host.at("cpus").get<unsigned>()) + " CPUs";
    report.kernel.sha256 = text_or_nothing(json.at("kernel").at("sha256"));
    report.qemu.sha256 = text_or_nothing(json.at("qemu").at("sha256"));
    for (const Json& guest : json.at("guests")) {
        // A guest that did not boot has not said what it is.
        if (guest.at("kernel_release") == "") continue;
        if (report.kernel.version.empty()) {
            guest.at("kernel_release").get_to(report.kernel.version);
            guest.at("qemu_version").get_to(report.qemu.version);
            const Json& command = guest.at("qemu_command_line");
            report.cpus = argument_of(command, "-smp");
            report.memory = argument_of(command, "-m");
        }
        report.command_lines.emplace(
            guest.at("mode").get<std::string>(),
            guest.at("kernel_command_line").get<std::string>());
    }
}

}  // namespace

LabReport read_report(const std::string& file, std::string_view text)
{
    const std::string not_whole =
        "this is no whole report of 'ipidefer lab run': ";
    LabReport report;
    report.file = file;
    const auto refuse = [&](const std::string& why) {
        throw Failure{Exit::kCannotRun, file + ": " + why};
    };
    Json json;
    try {
        json = read_json<Json>(text, kReportBounds);
    } catch (const Failure& failure) {
        refuse(failure.what());
    }
    if (!json.is_object() || !json.contains("schema") ||
        !json["schema"].is_string())
        refuse("this is no report of 'ipidefer lab run': it has no schema");
    if (const auto schema = json["schema"].get<std::string>();
        schema != kReportSchema)
        throw Failure{Exit::kNotPossible, file + ": its schema is '" +
                                              printable(schema) +
                                              "', and only '" + kReportSchema +
                                              "' can be compared"};
    try {
        for (const Json& run : json.at("runs"))
            report.runs.push_back(read_run(run));
        read_provenance(json.at("provenance"), report);
        if (json.contains("repetitions") && !json["repetitions"].is_null())
            json["repetitions"].at("seed").get_to(report.seed);
        if (const Json& given_up = json.at("given_up"); !given_up.is_null())
            report.given_up = "mode " + given_up.at("mode").get<std::string>() +
                              ": " + given_up.at("reason").get<std::string>();
        for (const Json& json_of_one : json.at("starved")) {
            Starved& one = report.starved.emplace_back();
            read_turn(json_of_one, one);
            json_of_one.at("reason").get_to(one.reason);
            json_of_one.at("retried").get_to(one.retried);
        }
    } catch (const Json::exception& error) {
        refuse(not_whole + error.what());
    } catch (const Failure& failure) {
        refuse(not_whole + failure.what());
    }
    return report;
}

std::size_t LabReport::left_out() const
{
    return static_cast<std::size_t>(std::ranges::count(
        starved, false, [](const Starved& one) { return one.retried; }));
}

std::vector<std::string> workloads_of(const LabReport& report)
{
    std::vector<std::string> names;
    for (const LabRun& run : report.runs)
        if (std::ranges::find(names, run.workload) == names.end())
            names.push_back(run.workload);
    return names;
}

std::vector<std::string> modes_of(const LabReport& report,
                                  const std::string& workload)
{
    std::vector<std::string> names;
    for (const LabRun& run : report.runs)
        if (run.workload == workload &&
            std::ranges::find(names, run.mode) == names.end())
            names.push_back(run.mode);
    return names;
}

LabRuns runs_of(const LabReport& report, const std::string& workload,
                const std::string& mode)
{
    LabRuns runs;
    for (const LabRun& run : report.runs)
        if (run.workload == workload && run.mode == mode) runs.push_back(&run);
    return runs;
}

statistics::Sample row_of(const LabRuns& runs, const std::string& row)
{
    statistics::Sample counts;
    for (const LabRun* run : runs) {
        const auto interrupts = run->interrupts.find(row);
        const auto events = run->events.find(row);
        std::uint64_t count = 0;
        if (interrupts != run->interrupts.end())
            count = interrupts->second;
        else if (events != run->events.end())
            count = events->second;
        counts.push_back(static_cast<double>(count));
    }
    return counts;
}

bool all_agree(const LabRuns& runs)
{
    return std::ranges::all_of(runs,
                               [](const LabRun* run) { return run->agree; });
}

double interrupts_of(const LabRun& run)
{
    std::uint64_t total = 0;
    for (const auto& [row, count] : run.interrupts) total += count;
    return static_cast<double>(total);
}

statistics::Sample total_of(const LabRuns& runs)
{
    statistics::Sample counts;
    for (const LabRun* run : runs) counts.push_back(interrupts_of(*run));
    return counts;
}

bool has_row(const LabReport& report, const std::string& row)
{
    return std::ranges::any_of(report.runs, [&](const LabRun& run) {
        return run.interrupts.contains(row) || run.events.contains(row);
    });
}

}  // namespace ipidefer::report
