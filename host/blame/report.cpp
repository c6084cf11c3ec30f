// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/blame/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/cpulist.hpp"
#include "base/table.hpp"
#include "host/blame/remedy.hpp"

namespace ipidefer::blame {
namespace {

using Row = Tallies::value_type;

/// Stacks of a cause that a table shows; JSON has all.
constexpr std::size_t kMostStacks = 5;

std::string cause_text(const Cause& cause)
{
    const std::string kind{name(cause.kind)};
    return cause.detail.empty() ? kind : kind + ": " + cause.detail;
}

std::string us(std::uint64_t ns)
{
    return fmt::format("{:.1f}", static_cast<double>(ns) / 1000);
}

std::map<unsigned, std::vector<const Row*>> by_vcpu(const Blame& blame)
{
    std::map<unsigned, std::vector<const Row*>> rows;
    for (const Row& row : blame.tallies) rows[row.first.first].push_back(&row);
    for (auto& [vcpu, causes] : rows)
        std::ranges::stable_sort(causes, [](const Row* one, const Row* other) {
            const auto& a = one->second;
            const auto& b = other->second;
            return std::pair{a.away_ns.count(), a.also} >
                   std::pair{b.away_ns.count(), b.also};
        });
    return rows;
}

void show_stacks(Table& table, const Tally& tally)
{
    const auto stacks = by_count(tally.stacks);
    std::uint64_t rest = 0;
    for (std::size_t i = 0; i < stacks.size(); ++i) {
        const auto& [stack, count] = stacks[i];
        if (i < kMostStacks)
            table.line(
                fmt::format("    {} from {}", count, fmt::join(*stack, " < ")));
        else
            rest += count;
    }
    if (rest != 0)
        table.line(fmt::format("    {} from {} other stacks, which --json has",
                               rest, stacks.size() - kMostStacks));
}

nlohmann::ordered_json to_json(const std::map<Stack, std::uint64_t>& stacks)
{
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const auto& [stack, count] : by_count(stacks))
        list.push_back({{"count", count}, {"functions", *stack}});
    return list;
}

/// What can be done, and where it is looked at.
nlohmann::ordered_json to_json(const Remedy& remedy)
{
    if (remedy.none) return {{"remedy", nullptr}, {"why_none", remedy.text}};
    return {{"remedy", remedy.text}, {"checks", remedy.checks}};
}

}  // namespace

Blame as_one(Blame blame)
{
    blame.tallies = together(blame.tallies);
    blame.as_one = true;
    return blame;
}

std::string table(const Blame& blame)
{
    Table table{{Table::left("cause"), Table::right("exits"),
                 Table::right("also"), Table::right("away ms"),
                 Table::right("p50 us"), Table::right("p99 us"),
                 Table::right("longest us")}};
    for (const auto& [vcpu, rows] : by_vcpu(blame)) {
        LogHistogram all;
        for (const Row* row : rows) all += row->second.away_ns;
        const auto line = [&table](const std::string& what,
                                   const LogHistogram& away,
                                   const std::string& also) {
            const bool any = away.count() != 0;
            table.row({what, std::to_string(away.count()), also,
                       any ? fmt::format("{:.2f}",
                                         static_cast<double>(away.sum()) / 1e6)
                           : "",
                       any ? us(away.quantile(0.5)) : "",
                       any ? us(away.quantile(0.99)) : "",
                       any ? us(away.most()) : ""});
        };
        line(blame.as_one ? "all vCPUs" : fmt::format("vCPU {}", vcpu), all,
             "");
        for (const Row* row : rows) {
            line("  " + cause_text(row->first.second), row->second.away_ns,
                 row->second.also == 0 ? "" : std::to_string(row->second.also));
            show_stacks(table, row->second);
        }
    }
    std::string text = table.text();
    text += fmt::format(
        "{:.1f} s, {} events, {} lost; this program took {:.1f} % of a CPU\n",
        blame.seconds, blame.events, blame.lost,
        blame.seconds > 0 ? 100 * blame.cost_seconds / blame.seconds : 0.0);
    if (blame.lost != 0)
        text += "Events were lost: there were more exits than are counted.\n";
    if (!blame.open.empty())
        text += fmt::format(
            "not counted: the last exit of vCPU {}, which has no entry yet\n",
            format_cpulist(blame.open));
    if (blame.unseen != 0)
        text += fmt::format("not counted: {} exits whose entries were lost\n",
                            blame.unseen);
    if (!blame.missing.empty())
        text += fmt::format("This kernel has no event {}\n",
                            fmt::join(blame.missing, ", "));
    return text;
}

std::string remedies(const Blame& blame)
{
    std::set<Cause::Kind> kinds;
    for (const auto& [of, tally] : blame.tallies) kinds.insert(of.second.kind);
    if (kinds.empty()) return {};
    Table table{{Table::left(""), Table::left("")}};
    for (const Cause::Kind kind : kinds) {
        const Remedy& found = remedy(kind);
        table.row({"  " + std::string{name(kind)},
                   std::string{found.text} +
                       (found.checks.empty()
                            ? ""
                            : fmt::format(" (ipidefer check: {})",
                                          fmt::join(found.checks, ", ")))});
    }
    return "What to do:\n" + table.text();
}

nlohmann::ordered_json to_json(const Blame& blame)
{
    nlohmann::ordered_json vcpus = nlohmann::ordered_json::array();
    for (const auto& [vcpu, rows] : by_vcpu(blame)) {
        nlohmann::ordered_json causes = nlohmann::ordered_json::array();
        std::uint64_t exits = 0;
        for (const Row* row : rows) {
            const auto& away = row->second.away_ns;
            exits += away.count();
            nlohmann::ordered_json cause{{"kind", name(row->first.second.kind)},
                                         {"detail", row->first.second.detail},
                                         {"exits", away.count()},
                                         {"also", row->second.also}};
            if (away.count() != 0) {
                cause["away_ns"] = away.sum();
                cause["p50_ns"] = away.quantile(0.5);
                cause["p90_ns"] = away.quantile(0.9);
                cause["p99_ns"] = away.quantile(0.99);
                cause["longest_ns"] = away.most();
            }
            if (!row->second.stacks.empty())
                cause["stacks"] = to_json(row->second.stacks);
            cause.update(to_json(remedy(row->first.second.kind)));
            causes.push_back(std::move(cause));
        }
        nlohmann::ordered_json one{{"vcpu", vcpu},
                                   {"exits", exits},
                                   {"away_at_end", blame.open.contains(vcpu)},
                                   {"causes", std::move(causes)}};
        if (blame.as_one) {
            one["vcpu"] = "all";
            one["away_at_end"] = !blame.open.empty();
        }
        vcpus.push_back(std::move(one));
    }
    return {{"pid", blame.pid},
            {"seconds", blame.seconds},
            {"events", blame.events},
            {"lost", blame.lost},
            {"exits_whose_entry_was_lost", blame.unseen},
            {"cost_cpu_seconds", blame.cost_seconds},
            {"missing_events", blame.missing},
            {"vcpus", std::move(vcpus)}};
}

}  // namespace ipidefer::blame
