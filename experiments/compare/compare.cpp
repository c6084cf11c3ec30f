// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/compare/compare.hpp"

#include <iostream>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "base/failure.hpp"
#include "base/file.hpp"
#include "base/json_writer.hpp"
#include "base/option_value.hpp"
#include "base/text.hpp"
#include "experiments/compare/comparability.hpp"
#include "experiments/compare/criterion.hpp"
#include "experiments/compare/differences.hpp"
#include "experiments/report/lab_report.hpp"

namespace ipidefer::compare {
namespace {

using report::read_report;

using Json = nlohmann::ordered_json;

constexpr char kCompareSchema[] = "ipidefer-lab-compare/1";
constexpr char kFailIf[] = "--fail-if";

[[noreturn]] void refuse(const std::string& expression,
                         const CriterionError& error)
{
    throw Failure{Exit::kCannotRun, std::string{kFailIf} + ": " + error.what(),
                  error.show(expression)};
}

std::vector<Criterion> read_criteria(const std::vector<std::string>& texts)
{
    std::vector<Criterion> criteria;
    for (const auto& text : texts) try {
            criteria.emplace_back(text);
        } catch (const CriterionError& error) {
            refuse(text, error);
        }
    return criteria;
}

std::set<Across> read_across(const std::vector<std::string>& words)
{
    std::set<Across> across;
    for (const auto& word : words)
        if (word == "kernel")
            across.insert(Across::kKernel);
        else if (word == "qemu")
            across.insert(Across::kQemu);
        else if (word == "accelerator")
            across.insert(Across::kAccelerator);
        else
            refuse_option(
                "--across",
                in_quotes(word) + " is not one of kernel, qemu, accelerator");
    return across;
}

LabReport read(const std::string& file)
{
    return read_report(file, read_whole(file, report::kMostReportBytes));
}

/// What a criterion says of one workload.
struct Judgement {
    const Criterion* criterion;
    std::string workload;
    Outcome outcome;
};

std::vector<Judgement> judge(const std::vector<Criterion>& criteria,
                             const LabReport& base, const LabReport& now,
                             const std::vector<WorkloadDifference>& differences)
{
    std::vector<Judgement> judgements;
    for (const Criterion& criterion : criteria)
        for (const auto& difference : differences) try {
                const WorkloadCounts counts{base, now, difference.workload};
                judgements.push_back(
                    {&criterion, difference.workload, criterion.judge(counts)});
            } catch (const CriterionError& error) {
                refuse(criterion.text(), error);
            }
    return judgements;
}

std::string sentence(const Judgement& judgement)
{
    std::string text = judgement.outcome.met ? "met: " : "not met: ";
    text += printable(judgement.criterion->text());
    text += "\n  workload " + printable(judgement.workload) + ": ";
    for (std::size_t i = 0; i < judgement.outcome.because.size(); ++i)
        text += (i == 0 ? "" : "; ") + judgement.outcome.because[i];
    return text + '\n';
}

Json report_json(const LabReport& report)
{
    return {
        {"file", report.file},
        {"date", report.date},
        {"ipidefer", report.ipidefer},
        {"accelerator", report.accelerator},
        {"kernel",
         {{"version", report.kernel.version},
          {"sha256", report.kernel.sha256}}},
        {"qemu",
         {{"version", report.qemu.version}, {"sha256", report.qemu.sha256}}}};
}

Json whole_json(const LabReport& base, const LabReport& now,
                const std::vector<std::string>& remarks,
                const std::vector<WorkloadDifference>& differences,
                const std::vector<Judgement>& judgements)
{
    Json criteria = Json::array();
    for (const Judgement& judgement : judgements)
        criteria.push_back({{"expression", judgement.criterion->text()},
                            {"workload", judgement.workload},
                            {"met", judgement.outcome.met},
                            {"because", judgement.outcome.because}});
    return {{"schema", kCompareSchema},          {"base", report_json(base)},
            {"new", report_json(now)},           {"notes", remarks},
            {"workloads", to_json(differences)}, {"criteria", criteria}};
}

void check_comparable(const LabReport& base, const LabReport& now,
                      const std::set<Across>& across)
{
    const auto why = obstacles(base, now, across);
    if (why.empty()) return;
    std::string detail;
    for (const auto& sentence : why) detail += "  " + sentence + '\n';
    throw Failure{
        Exit::kNotPossible,
        base.file + " and " + now.file + " cannot be compared:", detail};
}

}  // namespace

void add_options(CLI::App& app, RawOptions& raw)
{
    app.add_option("BASE", raw.base, "the report to compare with")->required();
    app.add_option("NEW", raw.now, "the report that is compared")->required();
    app.add_option("--fail-if", raw.fail_if,
                   "end with status 2 if this is so, as in 'off.CAL drop > "
                   "5%' or 'hv.CAL > 0'; repeatable")
        ->allow_extra_args(false);
    app.add_option("--across", raw.across,
                   "compare although it differs: kernel, qemu or accelerator; "
                   "repeatable")
        ->allow_extra_args(false);
    app.add_option("--json", raw.json,
                   "write what is found here, - for stdout");
}

int compare(const RawOptions& raw)
{
    const auto criteria = read_criteria(raw.fail_if);
    const auto across = read_across(raw.across);
    check_output("--json", raw.json);
    const LabReport base = read(raw.base);
    const LabReport now = read(raw.now);
    check_comparable(base, now, across);

    // Any seed will do; always the same one says the same of the same reports.
    const auto found = differences(base, now, {});
    const auto judgements = judge(criteria, base, now, found);
    const auto remarks = notes(base, now);
    // With --json - standard output is for a program.
    std::ostream& out = raw.json == "-" ? std::cerr : std::cout;
    for (const auto& remark : remarks) out << "note: " << remark << '\n';
    out << render(found);
    bool any = false;
    for (const Judgement& judgement : judgements) {
        out << sentence(judgement);
        any = any || judgement.outcome.met;
    }
    out << std::flush;
    if (!raw.json.empty())
        write_report(raw.json,
                     whole_json(base, now, remarks, found, judgements));
    return static_cast<int>(any ? Exit::kDefect : Exit::kDone);
}

}  // namespace ipidefer::compare
