// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/gap_causes.hpp"

#include <algorithm>
#include <optional>
#include <set>
#include <sstream>
#include <string_view>

#include "base/failure.hpp"
#include "base/text.hpp"
#include "experiments/lab/protocol.hpp"
#include "host/trace/guest_trace.hpp"

namespace ipidefer::lab {
namespace {

using nlohmann::json;

/// Of lines such as "overrun: 5".
std::optional<std::uint64_t> stat_of(const std::string& stats,
                                     std::string_view name)
{
    for (const auto line : lines_of(stats)) {
        const auto colon = line.find(':');
        if (colon != std::string_view::npos && line.substr(0, colon) == name)
            return number_of<std::uint64_t>(trimmed(line.substr(colon + 1)));
    }
    return std::nullopt;
}

/// "local_timer" of "local_timer_entry: vector=236".
std::string what_of(std::string_view event)
{
    constexpr std::string_view kEntry = "_entry";
    auto name = event.substr(0, event.find(':'));
    if (name.ends_with(kEntry)) name.remove_suffix(kEntry.size());
    return std::string{name};
}

std::uint64_t in_ns(std::uint64_t cycles, double cycles_per_ns)
{
    return static_cast<std::uint64_t>(static_cast<double>(cycles) /
                                      cycles_per_ns);
}

void add_list(LoopReport& of, const json& loop, std::uint64_t marked_at,
              double cycles_per_ns)
{
    const json& starts = loop.at(protocol::kStarts);
    const json& lengths = loop.at(protocol::kLengths);
    if (starts.size() != lengths.size())
        throw Failure{Exit::kCannotRun,
                      "the agent's list of gaps has " +
                          std::to_string(starts.size()) + " starts and " +
                          std::to_string(lengths.size()) + " lengths"};
    loop.at(protocol::kLeftOut).get_to(of.left_out);
    // Other kernels have no such record.
    GuestRecord record{{}, UINT64_MAX, 0};
    if (const json& trace = loop.at(protocol::kTrace); !trace.is_null())
        record = parse_guest_record(
            trace.get<std::string>(),
            loop.at(protocol::kTraceStats).get<std::string>());
    for (std::size_t i = 0; i < starts.size(); ++i) {
        const auto start = starts[i].get<std::uint64_t>();
        const auto length = lengths[i].get<std::uint64_t>();
        of.listed.push_back(
            {in_ns(start - std::min(start, marked_at), cycles_per_ns),
             in_ns(length, cycles_per_ns), cause_of(record, start, length)});
    }
}

}  // namespace

std::vector<std::string> recorded_events()
{
    return {"irq_vectors/*_entry", "irq/irq_handler_entry", "nmi/nmi_handler",
            "exceptions/page_fault_*", "sched/sched_switch"};
}

GuestRecord parse_guest_record(const std::string& trace,
                               const std::string& stats)
{
    GuestRecord record;
    std::istringstream in{trace};
    const auto read = trace::read_guest_trace(in);
    for (const auto& line : read.lines)
        if (!line.task.empty())
            record.events.push_back({line.tsc, what_of(line.event)});
    const auto kept = stat_of(stats, "entries");
    const auto overwritten = stat_of(stats, "overrun");
    const auto dropped = stat_of(stats, "dropped events");
    if (!kept || !overwritten || dropped != 0 || read.lost != 0 ||
        read.others != 0) {
        record.whole_from = UINT64_MAX;
        record.whole_until = 0;
        return record;
    }
    if (*overwritten != 0)
        record.whole_from =
            record.events.empty() ? UINT64_MAX : record.events.front().tsc;
    // The end was cut off.
    if (record.events.size() < *kept)
        record.whole_until =
            record.events.empty() ? 0 : record.events.back().tsc;
    return record;
}

std::string cause_of(const GuestRecord& record, std::uint64_t start,
                     std::uint64_t length)
{
    const std::uint64_t end = start + length;
    if (start < record.whole_from || end > record.whole_until)
        return kUnknownCause;
    std::set<std::string> seen;
    for (auto event = std::ranges::lower_bound(record.events, start, {},
                                               &GuestRecord::Event::tsc);
         event != record.events.end() && event->tsc <= end; ++event)
        seen.insert(event->what);
    if (seen.empty()) return kNothingInGuest;
    std::string cause;
    for (const auto& what : seen) cause += (cause.empty() ? "" : " + ") + what;
    return cause;
}

void add_listed_gaps(Snapshot& taken, const json& answer)
{
    if (answer.at(protocol::kLoops).empty()) return;
    const auto marked_at = answer.at(protocol::kMarkedAt).get<std::uint64_t>();
    const auto cycles_per_ns = answer.at(protocol::kCyclesPerNs).get<double>();
    for (const auto& loop : answer.at(protocol::kLoops)) {
        const auto of =
            taken.loops.find(loop.at(protocol::kCpu).get<unsigned>());
        if (of != taken.loops.end())
            add_list(of->second, loop, marked_at, cycles_per_ns);
    }
}

}  // namespace ipidefer::lab
