// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/report_json.hpp"

#include <string>

#include "vmm/terms/names.hpp"
#include "vmm/terms/vectors.hpp"

namespace ipidefer::lab {
namespace {

using Json = nlohmann::ordered_json;

Json mode_json(const std::optional<Mode>& mode)
{
    return mode ? Json(name(*mode)) : Json(nullptr);
}

/// Empty without a sweep.
Json factors_json(const Factors& factors)
{
    Json json = Json::object();
    for (const auto& [name, value] : factors) json[name] = value;
    return json;
}

Json arm_name(Mode mode, const Turn& turn)
{
    return name(Arm{mode, turn.letter});
}

Json verdicts_json(const terms::VerdictCounts& verdicts)
{
    Json json = Json::object();
    for (const ipidefer_verdict v : terms::kCountedVerdicts) {
        const auto [verdict, reason] = terms::verdict_words(v);
        if (reason.empty())
            json[std::string{verdict}] = verdicts[v];
        else
            json[std::string{verdict}][std::string{reason}] = verdicts[v];
    }
    return json;
}

Json vmm_json(const Run& run)
{
    if (!run.verdicts) return nullptr;
    Json by_vector = Json::object();
    for (const auto& [vector, verdicts] : *run.verdicts)
        by_vector[terms::vector_number(static_cast<std::uint8_t>(vector))] =
            verdicts_json(verdicts);
    Json merged = nullptr;
    for (const auto& [vector, count] : run.merged)
        merged[terms::vector_number(static_cast<std::uint8_t>(vector))] = count;
    return {{"icr", run.sees_icr}, {"verdicts", by_vector}, {"merged", merged}};
}

/// In columns, since there may be many.
Json listed_json(const LoopReport& loop)
{
    Json starts = Json::array();
    Json lengths = Json::array();
    Json causes = Json::array();
    for (const ListedGap& gap : loop.listed) {
        starts.push_back(gap.start_ns);
        lengths.push_back(gap.length_ns);
        causes.push_back(gap.cause);
    }
    return {{"start_ns", starts},
            {"length_ns", lengths},
            {"cause", causes},
            {"left_out", loop.left_out}};
}

Json loops_json(const Run& run)
{
    Json loops = Json::object();
    for (const auto& [cpu, loop] : run.loops) {
        Json gaps = Json::object();
        for (const auto& [up_to, count] : loop.gaps)
            gaps[std::to_string(up_to)] = count;
        loops[std::to_string(cpu)] = {
            {"interruptions", loop.interruptions},
            {"longest_gap_cycles", loop.longest_cycles},
            {"longest_gap_ns", loop.longest_ns},
            {"gaps_ns", gaps},
            {"listed_gaps", listed_json(loop)}};
    }
    return loops;
}

Json nested_json(const Run& run)
{
    if (run.nested.empty()) return nullptr;
    Json nested = Json::object();
    for (const auto& [cpu, guest] : run.nested)
        nested[std::to_string(cpu)] = {
            {"exits", guest.exits},
            {"interrupt_exits", guest.interrupt_exits},
            {"context_before", guest.before},
            {"context_after", guest.after}};
    return nested;
}

Json kvm_json(const Run& run)
{
    if (run.kvm.empty()) return nullptr;
    Json kvm = Json::object();
    for (const auto& [cpu, stats] : run.kvm) kvm[std::to_string(cpu)] = stats;
    return kvm;
}

Json host_interrupts_json(const Run& run)
{
    if (run.host_interrupts.empty()) return nullptr;
    Json counts = Json::object();
    for (const auto& [cpu, count] : run.host_interrupts)
        counts[std::to_string(cpu)] = count;
    return counts;
}

Json run_json(const Run& run)
{
    Json guest{{"mode", mode_json(run.guest_mode)},
               {"events", run.events},
               {"interrupts", run.interrupts},
               {"resent", run.resent},
               {"loop", loops_json(run)}};
    return {{"mode", name(run.mode)},
            {"arm", arm_name(run.mode, run.turn)},
            {"repetition", run.turn.repetition},
            {"factors", factors_json(run.turn.factors)},
            {"workload", run.workload},
            {"isolated", run.isolated},
            {"milliseconds", run.took.count()},
            {"guest", guest},
            {"nested", nested_json(run)},
            {"kvm", kvm_json(run)},
            {"host_interrupts", host_interrupts_json(run)},
            {"vmm", vmm_json(run)},
            {"agree", run.disagreements.empty()},
            {"disagreements", run.disagreements}};
}

Json guest_json(const Guest& guest)
{
    return {{"mode", name(guest.mode)},
            {"arm", arm_name(guest.mode, guest.turn)},
            {"repetition", guest.turn.repetition},
            {"factors", factors_json(guest.turn.factors)},
            {"kernel_release", guest.release},
            {"kernel_version", guest.version},
            {"kernel_command_line", guest.kernel_command_line},
            {"kernel_messages", guest.messages},
            {"missing", guest.missing},
            {"qemu_version", guest.qemu_version},
            {"qemu_command_line", guest.qemu_command_line}};
}

/// All points; null without a sweep.
Json sweep_json(const std::vector<Factors>& sweep)
{
    if (sweep.empty()) return nullptr;
    Json points = Json::array();
    for (const Factors& point : sweep) points.push_back(factors_json(point));
    return points;
}

/// "hv", or at a point of a sweep "hv, cpus=8".
std::string boot_name(const PlannedBoot& boot,
                      const std::vector<Factors>& sweep)
{
    const std::string arm = name(boot.arm);
    return sweep.empty() ? arm : report::with_factors(arm, sweep[boot.point]);
}

Json repetitions_json(const std::optional<Repetitions>& repetitions,
                      const std::vector<Factors>& sweep)
{
    if (!repetitions) return nullptr;
    Json order = Json::array();
    for (const auto& repetition : repetitions->order) {
        Json arms = Json::array();
        for (const PlannedBoot& boot : repetition)
            arms.push_back(boot_name(boot, sweep));
        order.push_back(arms);
    }
    return {{"count", repetitions->order.size()},
            {"seed", repetitions->seed},
            {"order", order}};
}

Json medians_json(const RepeatedRow& row, const std::vector<ArmRuns>& arms)
{
    Json medians = Json::array();
    for (std::size_t i = 0; i < arms.size(); ++i) {
        if (row.samples[i].empty()) continue;
        const auto quartiles = statistics::quartiles(row.samples[i]);
        medians.push_back({{"arm", name(arms[i].arm)},
                           {"runs", row.samples[i].size()},
                           {"lower_quartile", quartiles.lower},
                           {"median", quartiles.median},
                           {"upper_quartile", quartiles.upper}});
    }
    return medians;
}

Json differences_json(const RepeatedRow& row, const std::vector<ArmRuns>& arms)
{
    Json differences = Json::array();
    for (std::size_t i = 0; i < arms.size(); ++i) {
        const auto& seen = row.differences[i];
        if (!seen) continue;
        differences.push_back(
            {{"arm", name(arms[i].arm)},
             {"pairs", seen->count},
             {"median", seen->difference},
             {"interval", {seen->interval.low, seen->interval.high}},
             {"p", seen->p},
             {"p_sign", seen->p_sign},
             {"verdict", words_of(seen->verdict)}});
    }
    return differences;
}

/// Rows of text have no statistics.
Json statistics_json(const Repeated& repeated)
{
    Json rows = Json::array();
    for (const RepeatedSection& section : repeated.sections)
        for (const RepeatedRow& row : section.rows)
            if (!row.row.text)
                rows.push_back(
                    {{"kind", row.row.kind},
                     {"row", row.row.key},
                     {"unit", name(row.row.unit)},
                     {"medians", medians_json(row, repeated.arms)},
                     {"differences", differences_json(row, repeated.arms)}});
    const ArmRuns* base = base_of(repeated);
    return {{"workload", repeated.runs.front()->workload},
            {"factors", factors_json(repeated.runs.front()->turn.factors)},
            {"base", base == nullptr ? Json(nullptr) : Json(name(base->arm))},
            {"rows", rows}};
}

}  // namespace

Json to_json(const Report& report, const std::vector<Repeated>& repeated)
{
    Json json{{"schema", kReportSchema}, {"runs", Json::array()}};
    for (const auto& run : report.runs) json["runs"].push_back(run_json(run));
    json["given_up"] = nullptr;
    if (report.given_up)
        json["given_up"] = {
            {"mode", name(report.given_up->mode)},
            {"arm", arm_name(report.given_up->mode, report.given_up->turn)},
            {"repetition", report.given_up->turn.repetition},
            {"factors", factors_json(report.given_up->turn.factors)},
            {"reason", report.given_up->reason},
            {"console", report.given_up->console}};
    json["starved"] = Json::array();
    for (const auto& starved : report.starved)
        json["starved"].push_back(
            {{"mode", name(starved.mode)},
             {"arm", arm_name(starved.mode, starved.turn)},
             {"repetition", starved.turn.repetition},
             {"factors", factors_json(starved.turn.factors)},
             {"thread", starved.thread},
             {"milliseconds", starved.lost.count()},
             {"reason", starved.reason},
             {"retried", starved.retried}});
    json["repetitions"] = repetitions_json(report.repetitions, report.sweep);
    json["sweep"] = sweep_json(report.sweep);
    json["statistics"] = nullptr;
    if (report.repetitions) {
        json["statistics"] = Json::array();
        for (const Repeated& of_workload : repeated)
            json["statistics"].push_back(statistics_json(of_workload));
    }
    json["provenance"] = report.provenance;
    json["provenance"]["guests"] = Json::array();
    for (const auto& guest : report.guests)
        json["provenance"]["guests"].push_back(guest_json(guest));
    return json;
}

}  // namespace ipidefer::lab
