// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/rows.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <set>
#include <utility>

#include "vmm/terms/vectors.hpp"

namespace ipidefer::lab {
namespace {

using Number = std::function<std::optional<double>(const Run&)>;

double number(std::uint64_t n) { return static_cast<double>(n); }

Row count_row(const std::string& kind, const std::string& key,
              const std::string& label, Number count)
{
    return {kind, key, "  " + label, std::move(count), {}};
}

template <typename Map>
double number_at(const Map& map, const typename Map::key_type& key)
{
    const auto found = map.find(key);
    return found == map.end() ? 0 : number(found->second);
}

/// Keys of one map over all runs, those with the largest values first.
template <typename Get>
std::vector<std::string> keys_by_size(const Runs& runs, Get get)
{
    std::map<std::string, std::uint64_t> largest;
    for (const Run* run : runs)
        for (const auto& [key, value] : get(*run))
            largest[key] = std::max(largest[key], value);
    std::vector<std::string> keys;
    for (const auto& [key, value] : largest)
        if (value != 0) keys.push_back(key);
    std::ranges::stable_sort(keys, [&](const auto& a, const auto& b) {
        return largest[a] > largest[b];
    });
    return keys;
}

std::vector<Section> events(const Runs& runs)
{
    std::vector<Section> sections{{"events aimed at them", {}}};
    for (const auto& key :
         keys_by_size(runs, [](const Run& run) { return run.events; }))
        sections[0].rows.push_back(count_row(
            "event", key, key,
            [key](const Run& run) { return number_at(run.events, key); }));
    // A host that runs all vCPUs makes no sender wait so long.
    if (std::ranges::any_of(runs,
                            [](const Run* run) { return run->resent != 0; }))
        sections.push_back({"",
                            {{"resent",
                              "typed IPIs",
                              "typed IPIs sent again, to any vCPU",
                              [](const Run& run) { return number(run.resent); },
                              {}}}});
    return sections;
}

Section interrupts(const Runs& runs)
{
    Section section{kInterruptsTitle, {}};
    std::map<std::string, std::string> descriptions;
    for (const Run* run : runs)
        descriptions.insert(run->descriptions.begin(), run->descriptions.end());
    for (const auto& key :
         keys_by_size(runs, [](const Run& run) { return run.interrupts; }))
        section.rows.push_back(count_row(
            "interrupt", key, key + "  " + descriptions[key],
            [key](const Run& run) { return number_at(run.interrupts, key); }));
    return section;
}

Section verdicts(const Runs& runs)
{
    Section section{"the VMM's verdicts", {}};
    std::set<unsigned> vectors;
    for (const Run* run : runs)
        if (run->verdicts)
            for (const auto& [vector, verdicts] : *run->verdicts)
                vectors.insert(vector);
    for (const unsigned vector : vectors)
        for (const ipidefer_verdict v : terms::kCountedVerdicts) {
            const auto count = [vector,
                                v](const Run& run) -> std::optional<double> {
                if (!run.verdicts) return std::nullopt;
                const auto found = run.verdicts->find(vector);
                if (found == run.verdicts->end()) return 0;
                return number(found->second[v]);
            };
            // What was never decided is not worth a line.
            if (v > IPIDEFER_DELIVERED_IN_KERNEL &&
                std::ranges::none_of(runs, [&](const Run* run) {
                    return count(*run).value_or(0) != 0;
                }))
                continue;
            const std::string number =
                terms::vector_number(static_cast<std::uint8_t>(vector));
            const std::string verdict = ipidefer_verdict_name(v);
            section.rows.push_back(count_row("verdict", number + ' ' + verdict,
                                             number + "  " + verdict, count));
        }
    return section;
}

Section loops(const Runs& runs)
{
    Section section{"their loops, by the clock (the host's noise included)",
                    {}};
    for (const unsigned cpu : runs.front()->isolated) {
        const auto seen = [cpu](auto get) {
            return [cpu, get](const Run& run) -> std::optional<double> {
                const auto found = run.loops.find(cpu);
                if (found == run.loops.end()) return std::nullopt;
                return get(found->second);
            };
        };
        const std::string vcpu = "vCPU " + std::to_string(cpu);
        section.rows.push_back(count_row("interruptions", vcpu,
                                         vcpu + "  gaps > 10 us",
                                         seen([](const LoopReport& loop) {
                                             return number(loop.interruptions);
                                         })));
        section.rows.push_back(
            count_row("longest_gap", vcpu, vcpu + "  longest, ms",
                      seen([](const LoopReport& loop) {
                          return number(loop.longest_ns) / 1e6;
                      })));
        section.rows.back().unit = Row::Unit::kMilliseconds;
    }
    return section;
}

/// Of all isolated vCPUs, one by one: what there was no room for is in the row
/// "gaps > 10 us" only.
Section gap_causes(const Runs& runs)
{
    Section section{"their gaps > 10 us, by what the guest did in them", {}};
    const auto causes_of = [](const Run& run) {
        std::map<std::string, std::uint64_t> causes;
        for (const auto& [cpu, loop] : run.loops)
            for (const ListedGap& gap : loop.listed) ++causes[gap.cause];
        return causes;
    };
    for (const auto& cause : keys_by_size(runs, causes_of))
        section.rows.push_back(count_row(
            "gap_cause", cause, cause, [causes_of, cause](const Run& run) {
                return number_at(causes_of(run), cause);
            }));
    return section;
}

Section nested_guests(const Runs& runs)
{
    Section section{"their nested guests, by the kernel's KVM", {}};
    for (const unsigned cpu : runs.front()->isolated) {
        const auto of = [cpu](const Run& run) -> const NestedRun* {
            const auto found = run.nested.find(cpu);
            return found == run.nested.end() ? nullptr : &found->second;
        };
        const auto count = [of](std::uint64_t NestedRun::*what) {
            return [of, what](const Run& run) -> std::optional<double> {
                const NestedRun* nested = of(run);
                if (nested == nullptr) return std::nullopt;
                return number(nested->*what);
            };
        };
        const std::string vcpu = "vCPU " + std::to_string(cpu);
        section.rows.push_back(count_row("nested_exits", vcpu, vcpu + "  exits",
                                         count(&NestedRun::exits)));
        section.rows.push_back(count_row("nested_interrupt_exits", vcpu,
                                         vcpu + "  forced by interrupts",
                                         count(&NestedRun::interrupt_exits)));
        section.rows.push_back(
            {"context",
             vcpu,
             "  " + vcpu + "  context",
             {},
             [of](const Run& run) -> std::optional<std::string> {
                 const NestedRun* nested = of(run);
                 if (nested == nullptr) return std::nullopt;
                 return nested->before == nested->after
                            ? nested->after
                            : nested->before + ", " + nested->after;
             }});
    }
    return section;
}

/// Of all isolated vCPUs, by reason as far as KVM has a count for it. One exit
/// may be in several of them.
std::vector<Section> exits(const Runs& runs)
{
    std::set<std::string> names;
    for (const Run* run : runs)
        for (const unsigned cpu : run->isolated)
            if (const auto stats = run->kvm.find(cpu); stats != run->kvm.end())
                for (const auto& [name, count] : stats->second)
                    if (counts_exits(name) && count > 0) names.insert(name);
    std::vector<Section> sections{{"their exits, by KVM's statistics", {}}};
    for (const auto& name : names)
        sections[0].rows.push_back(count_row(
            "exit", name, name,
            [name](const Run& run) -> std::optional<double> {
                if (run.kvm.empty()) return std::nullopt;
                std::uint64_t sum = 0;
                for (const unsigned cpu : run.isolated)
                    if (const auto stats = run.kvm.find(cpu);
                        stats != run.kvm.end())
                        if (const auto count = stats->second.find(name);
                            count != stats->second.end())
                            sum += count->second;
                return number(sum);
            }));
    if (std::ranges::any_of(
            runs, [](const Run* run) { return !run->host_interrupts.empty(); }))
        sections.push_back(
            {"",
             {count_row("host_interrupts", "all",
                        "interrupts of the host itself", [](const Run& run) {
                            std::uint64_t sum = 0;
                            for (const auto& [cpu, count] : run.host_interrupts)
                                sum += count;
                            return number(sum);
                        })}});
    return sections;
}

}  // namespace

std::vector<Section> sections_of(const Runs& runs)
{
    std::vector<Section> sections = events(runs);
    sections.push_back(interrupts(runs));
    sections.push_back(verdicts(runs));
    if (std::ranges::any_of(runs,
                            [](const Run* run) { return !run->kvm.empty(); }))
        std::ranges::move(exits(runs), std::back_inserter(sections));
    const bool nested = std::ranges::any_of(
        runs, [](const Run* run) { return !run->nested.empty(); });
    sections.push_back(nested ? nested_guests(runs) : loops(runs));
    if (Section causes = gap_causes(runs); !causes.rows.empty())
        sections.push_back(std::move(causes));
    return sections;
}

Row total_row()
{
    return count_row("interrupt", "total", "all of them", [](const Run& run) {
        std::uint64_t sum = 0;
        for (const auto& [row, count] : run.interrupts) sum += count;
        return number(sum);
    });
}

const char* name(Row::Unit unit) noexcept
{
    switch (unit) {
        case Row::Unit::kCount:
            return "count";
        case Row::Unit::kMilliseconds:
            return "ms";
    }
    return "?";
}

std::string shown(const Row& row, double number)
{
    if (row.unit == Row::Unit::kMilliseconds)
        return fmt::format("{:.2f}", number);
    // Halves are of medians, quarters of quartiles.
    return number == std::floor(number) ? fmt::format("{:.0f}", number)
                                        : fmt::format("{:.2f}", number);
}

std::string column_title(const Run& run)
{
    std::string title = name(Arm{run.mode, run.turn.letter});
    if (!run.guest_mode) return title + " (n/a)";
    if (*run.guest_mode != run.mode)
        title += " (ran " + std::string{name(*run.guest_mode)} + ')';
    return title;
}

std::string workload_title(const Run& run)
{
    return "workload " + group_of(run) + ", isolated vCPUs " +
           format_cpulist(run.isolated) + ", " + run.accelerator;
}

}  // namespace ipidefer::lab
