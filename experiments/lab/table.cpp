// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <set>
#include <sstream>

#include "base/table.hpp"
#include "vmm/terms/vectors.hpp"

namespace ipidefer::lab {
namespace {

using Runs = std::vector<const Run*>;
using Cell = std::function<std::optional<std::string>(const Run&)>;

constexpr char kNothing[] = "  none";
/// What a mode cannot have.
constexpr char kNone[] = "-";

/// What each mode has of something, in a column for each.
class RunTable {
  public:
    explicit RunTable(const Runs& runs)
        : runs_{runs}, table_{columns(runs.size())}
    {
    }

    void section(const std::string& title) { table_.line(title); }

    /// A row below a section.
    void row(const std::string& label, const Cell& cell)
    {
        summary("  " + label, cell);
    }

    void summary(const std::string& label, const Cell& cell)
    {
        std::vector<std::string> cells{label};
        for (const Run* run : runs_)
            cells.push_back(cell(*run).value_or(kNone));
        table_.row(std::move(cells));
    }

    [[nodiscard]] std::string text() const { return table_.text(); }

  private:
    static std::vector<Table::Column> columns(std::size_t runs)
    {
        std::vector<Table::Column> columns(runs + 1, Table::right(""));
        columns.front() = Table::left("");
        return columns;
    }

    const Runs& runs_;
    Table table_;
};

std::string number(std::uint64_t n) { return std::to_string(n); }

template <typename Map>
std::optional<std::string> number_at(const Map& map,
                                     const typename Map::key_type& key)
{
    const auto found = map.find(key);
    if (found == map.end()) return number(0);
    return number(found->second);
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

void add_events(RunTable& table, const Runs& runs)
{
    table.section("events aimed at them");
    const auto keys =
        keys_by_size(runs, [](const Run& run) { return run.events; });
    for (const auto& key : keys)
        table.row(key,
                  [&](const Run& run) { return number_at(run.events, key); });
    if (keys.empty()) table.section(kNothing);
    // A host that runs all vCPUs makes no sender wait so long.
    if (std::ranges::any_of(runs,
                            [](const Run* run) { return run->resent != 0; }))
        table.summary("typed IPIs sent again, to any vCPU",
                      [](const Run& run) { return number(run.resent); });
}

void add_interrupts(RunTable& table, const Runs& runs)
{
    table.section("interrupts they took");
    std::map<std::string, std::string> descriptions;
    for (const Run* run : runs)
        descriptions.insert(run->descriptions.begin(), run->descriptions.end());
    const auto keys =
        keys_by_size(runs, [](const Run& run) { return run.interrupts; });
    for (const auto& key : keys)
        table.row(key + "  " + descriptions[key], [&](const Run& run) {
            return number_at(run.interrupts, key);
        });
    if (keys.empty()) table.section(kNothing);
}

void add_verdicts(RunTable& table, const Runs& runs)
{
    table.section("the VMM's verdicts");
    std::set<unsigned> vectors;
    for (const Run* run : runs)
        if (run->verdicts)
            for (const auto& [vector, verdicts] : *run->verdicts)
                vectors.insert(vector);
    for (const unsigned vector : vectors)
        for (const ipidefer_verdict v : terms::kCountedVerdicts) {
            const auto count =
                [&](const Run& run) -> std::optional<std::uint64_t> {
                if (!run.verdicts) return std::nullopt;
                const auto found = run.verdicts->find(vector);
                if (found == run.verdicts->end()) return 0;
                return found->second[v];
            };
            // What was never decided is not worth a line.
            if (v > IPIDEFER_DELIVERED_IN_KERNEL &&
                std::ranges::none_of(runs, [&](const Run* run) {
                    return count(*run).value_or(0) != 0;
                }))
                continue;
            table.row(terms::vector_number(static_cast<std::uint8_t>(vector)) +
                          "  " + ipidefer_verdict_name(v),
                      [&](const Run& run) -> std::optional<std::string> {
                          const auto n = count(run);
                          if (!n) return std::nullopt;
                          return number(*n);
                      });
        }
    if (vectors.empty()) table.section(kNothing);
}

std::string milliseconds(std::uint64_t ns)
{
    return fmt::format("{:.2f}", static_cast<double>(ns) / 1e6);
}

void add_loops(RunTable& table, const Runs& runs)
{
    table.section("their loops, by the clock (the host's noise included)");
    for (const unsigned cpu : runs.front()->isolated) {
        const auto seen = [cpu](const Run& run) -> std::optional<LoopReport> {
            const auto found = run.loops.find(cpu);
            if (found == run.loops.end()) return std::nullopt;
            return found->second;
        };
        const std::string vcpu = "vCPU " + std::to_string(cpu);
        table.row(vcpu + "  gaps > 10 us",
                  [&](const Run& run) -> std::optional<std::string> {
                      const auto loop = seen(run);
                      if (!loop) return std::nullopt;
                      return number(loop->interruptions);
                  });
        table.row(vcpu + "  longest, ms",
                  [&](const Run& run) -> std::optional<std::string> {
                      const auto loop = seen(run);
                      if (!loop) return std::nullopt;
                      return milliseconds(loop->longest_ns);
                  });
    }
}

void add_nested(RunTable& table, const Runs& runs)
{
    table.section("their nested guests, by the kernel's KVM");
    for (const unsigned cpu : runs.front()->isolated) {
        const auto value = [cpu](auto get) {
            return [cpu, get](const Run& run) -> std::optional<std::string> {
                const auto found = run.nested.find(cpu);
                if (found == run.nested.end()) return std::nullopt;
                return get(found->second);
            };
        };
        const std::string vcpu = "vCPU " + std::to_string(cpu);
        table.row(vcpu + "  exits", value([](const NestedRun& nested) {
                      return number(nested.exits);
                  }));
        table.row(vcpu + "  forced by interrupts",
                  value([](const NestedRun& nested) {
                      return number(nested.interrupt_exits);
                  }));
        table.row(vcpu + "  context", value([](const NestedRun& nested) {
                      return nested.before == nested.after
                                 ? nested.after
                                 : nested.before + ", " + nested.after;
                  }));
    }
}

/// Of all isolated vCPUs, by reason as far as KVM has a count for it. One exit
/// may be in several of them.
void add_exits(RunTable& table, const Runs& runs)
{
    std::set<std::string> names;
    for (const Run* run : runs)
        for (const unsigned cpu : run->isolated)
            if (const auto stats = run->kvm.find(cpu); stats != run->kvm.end())
                for (const auto& [name, count] : stats->second)
                    if (counts_exits(name) && count > 0) names.insert(name);
    table.section("their exits, by KVM's statistics");
    for (const auto& name : names)
        table.row(name, [&](const Run& run) -> std::optional<std::string> {
            if (run.kvm.empty()) return std::nullopt;
            std::uint64_t sum = 0;
            for (const unsigned cpu : run.isolated)
                if (const auto stats = run.kvm.find(cpu);
                    stats != run.kvm.end())
                    if (const auto count = stats->second.find(name);
                        count != stats->second.end())
                        sum += count->second;
            return number(sum);
        });
    if (names.empty()) table.section(kNothing);
    if (std::ranges::any_of(
            runs, [](const Run* run) { return !run->host_interrupts.empty(); }))
        table.row("interrupts of the host itself",
                  [](const Run& run) -> std::optional<std::string> {
                      std::uint64_t sum = 0;
                      for (const auto& [cpu, count] : run.host_interrupts)
                          sum += count;
                      return number(sum);
                  });
}

std::string mode_title(const Run& run)
{
    std::string title{name(run.mode)};
    if (!run.guest_mode) return title + " (n/a)";
    if (*run.guest_mode != run.mode)
        title += " (ran " + std::string{name(*run.guest_mode)} + ')';
    return title;
}

std::string render(const std::string& workload, const Runs& runs)
{
    RunTable table{runs};
    table.section("workload " + workload + ", isolated vCPUs " +
                  format_cpulist(runs.front()->isolated) + ", " +
                  runs.front()->accelerator);
    table.summary("", mode_title);
    add_events(table, runs);
    add_interrupts(table, runs);
    add_verdicts(table, runs);
    if (std::ranges::any_of(runs,
                            [](const Run* run) { return !run->kvm.empty(); }))
        add_exits(table, runs);
    if (std::ranges::any_of(
            runs, [](const Run* run) { return !run->nested.empty(); }))
        add_nested(table, runs);
    else
        add_loops(table, runs);
    table.summary("guest and VMM agree",
                  [](const Run& run) -> std::optional<std::string> {
                      if (!run.disagreements.empty()) return "NO";
                      // A kernel without ipi_defer has nothing to compare.
                      if (!run.guest_mode) return std::nullopt;
                      return "yes";
                  });
    return table.text();
}

}  // namespace

std::string render_tables(const std::vector<Run>& runs)
{
    std::string text;
    std::set<std::string> done;
    for (const auto& first : runs) {
        if (!done.insert(first.workload).second) continue;
        Runs same;
        for (const auto& run : runs)
            if (run.workload == first.workload) same.push_back(&run);
        if (!text.empty()) text += '\n';
        text += render(first.workload, same);
        for (const Run* run : same)
            for (const auto& what : run->disagreements)
                text +=
                    "  " + std::string{name(run->mode)} + ": " + what + '\n';
    }
    return text;
}

}  // namespace ipidefer::lab
