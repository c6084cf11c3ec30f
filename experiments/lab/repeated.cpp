// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/repeated.hpp"

#include <algorithm>
#include <utility>

namespace ipidefer::lab {
namespace {

constexpr Arm kBase{Mode::kOff, 'A'};

/// @param group as group_of() has it
std::vector<ArmRuns> arms_of(const Report& report, const std::string& group)
{
    std::vector<ArmRuns> arms;
    for (const Arm& arm : report.repetitions->arms) {
        ArmRuns& of_arm = arms.emplace_back(ArmRuns{arm, {}});
        for (const Run& run : report.runs)
            if (group_of(run) == group && Arm{run.mode, run.turn.letter} == arm)
                of_arm.runs[run.turn.repetition] = &run;
    }
    return arms;
}

statistics::Sample sample_of(const Row& row, const ArmRuns& arm)
{
    statistics::Sample sample;
    if (!row.number) return sample;
    for (const auto& [repetition, run] : arm.runs)
        if (const auto number = row.number(*run)) sample.push_back(*number);
    return sample;
}

std::optional<statistics::Comparison> difference_of(const Row& row,
                                                    const ArmRuns* base,
                                                    const ArmRuns& other,
                                                    std::uint64_t seed)
{
    if (!row.number || base == nullptr || base == &other) return std::nullopt;
    statistics::Sample before;
    statistics::Sample after;
    for (const auto& [repetition, run] : base->runs) {
        const auto found = other.runs.find(repetition);
        if (found == other.runs.end()) continue;
        const auto one = row.number(*run);
        const auto another = row.number(*found->second);
        // What off cannot have is no difference: verdicts without a VMM's
        // object.
        if (!one || !another) continue;
        before.push_back(*one);
        after.push_back(*another);
    }
    if (before.empty()) return std::nullopt;
    return statistics::compare_pairs(before, after, {seed});
}

void count_pairs(std::vector<ArmRuns>& arms, const ArmRuns* base)
{
    if (base == nullptr) return;
    for (ArmRuns& arm : arms)
        if (&arm != base)
            arm.pairs = static_cast<std::size_t>(
                std::ranges::count_if(arm.runs, [&](const auto& run) {
                    return base->runs.contains(run.first);
                }));
}

std::vector<std::string> groups_of(const Report& report)
{
    std::vector<std::string> names;
    for (const Run& run : report.runs)
        if (std::ranges::find(names, group_of(run)) == names.end())
            names.push_back(group_of(run));
    return names;
}

Repeated repeated_of(const Report& report, const std::string& group)
{
    Repeated repeated;
    for (const Run& run : report.runs)
        if (group_of(run) == group) repeated.runs.push_back(&run);
    repeated.arms = arms_of(report, group);
    const ArmRuns* base = base_of(repeated);
    count_pairs(repeated.arms, base);
    for (Section& section : sections_of(repeated.runs)) {
        if (section.title == kInterruptsTitle)
            section.rows.push_back(total_row());
        RepeatedSection& of_section =
            repeated.sections.emplace_back(RepeatedSection{section.title, {}});
        for (Row& row : section.rows) {
            RepeatedRow of_row{std::move(row), {}, {}};
            for (const ArmRuns& arm : repeated.arms) {
                of_row.samples.push_back(sample_of(of_row.row, arm));
                of_row.differences.push_back(difference_of(
                    of_row.row, base, arm, report.repetitions->seed));
            }
            of_section.rows.push_back(std::move(of_row));
        }
    }
    return repeated;
}

}  // namespace

const ArmRuns* base_of(const Repeated& repeated)
{
    const auto base = std::ranges::find(repeated.arms, kBase, &ArmRuns::arm);
    return base == repeated.arms.end() ? nullptr : &*base;
}

std::vector<Repeated> repeated_of(const Report& report)
{
    std::vector<Repeated> all;
    if (report.repetitions)
        for (const auto& group : groups_of(report))
            all.push_back(repeated_of(report, group));
    return all;
}

std::vector<std::string> without_runs(const Report& report,
                                      const std::vector<std::string>& groups)
{
    std::vector<std::string> names;
    for (const auto& group : groups)
        for (const ArmRuns& arm : arms_of(report, group))
            if (arm.runs.empty())
                names.push_back(name(arm.arm) + " of workload " + group);
    return names;
}

}  // namespace ipidefer::lab
