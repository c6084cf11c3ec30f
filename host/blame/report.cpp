// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/blame/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/cpulist.hpp"
#include "base/table.hpp"

namespace ipidefer::blame {
namespace {

using Row = Attribution::Tallies::value_type;

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

}  // namespace

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
        line(fmt::format("vCPU {}", vcpu), all, "");
        for (const Row* row : rows)
            line("  " + cause_text(row->first.second), row->second.away_ns,
                 row->second.also == 0 ? "" : std::to_string(row->second.also));
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
            causes.push_back(std::move(cause));
        }
        vcpus.push_back({{"vcpu", vcpu},
                         {"exits", exits},
                         {"away_at_end", blame.open.contains(vcpu)},
                         {"causes", std::move(causes)}});
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
