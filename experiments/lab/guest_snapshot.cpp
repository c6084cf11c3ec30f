// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/guest_snapshot.hpp"

#include "base/failure.hpp"
#include "experiments/lab/protocol.hpp"

namespace ipidefer::lab {
namespace {

using nlohmann::json;

char state_in(const json& loop)
{
    const auto state = loop.at(protocol::kState).get<std::string>();
    return state.empty() ? '\0' : state.front();
}

}  // namespace

std::optional<GuestStats> guest_stats(const json& answer)
{
    const json& text = answer.at(protocol::kStats);
    if (text.is_null()) return std::nullopt;
    return parse_stats(text.get<std::string>());
}

Snapshot guest_snapshot(const json& answer)
{
    Snapshot taken;
    taken.stats = guest_stats(answer);
    if (const json& resent = answer.at(protocol::kResent); !resent.is_null())
        taken.resent = parse_resent(resent.get<std::string>());
    taken.interrupts =
        parse_interrupts(answer.at(protocol::kInterrupts).get<std::string>());
    for (const auto& [name, text] : answer.at(protocol::kHists).items())
        taken.hists[name] = parse_histogram(text.get<std::string>());
    for (const auto& loop : answer.at(protocol::kLoops))
        taken.loops[loop.at(protocol::kCpu).get<unsigned>()] = {
            loop.at(protocol::kGaps),      loop.at(protocol::kLongestCycles),
            loop.at(protocol::kLongestNs), state_in(loop),
            loop.at(protocol::kRunsOn),    loop.at(protocol::kLeft)};
    for (const auto& guest : answer.at(protocol::kNestedGuests))
        taken.nested[guest.at(protocol::kCpu).get<unsigned>()] = {
            guest.at(protocol::kExits), guest.at(protocol::kInterruptExits)};
    return taken;
}

void add_gaps(Snapshot& taken, const json& answer)
{
    for (const auto& loop : answer.at(protocol::kLoops)) {
        const auto cpu = loop.at(protocol::kCpu).get<unsigned>();
        const auto of = taken.loops.find(cpu);
        if (of == taken.loops.end())
            throw Failure{Exit::kCannotRun, "the agent has the gaps of vCPU " +
                                                std::to_string(cpu) +
                                                ", and no loop there"};
        const json& up_to = loop.at(protocol::kUpToNs);
        const json& counts = loop.at(protocol::kCounts);
        if (up_to.size() != counts.size())
            throw Failure{Exit::kCannotRun,
                          "the agent's histogram has " +
                              std::to_string(up_to.size()) + " buckets and " +
                              std::to_string(counts.size()) + " counts"};
        for (std::size_t i = 0; i < up_to.size(); ++i)
            of->second.gaps[up_to[i].get<std::uint64_t>()] =
                counts[i].get<std::uint64_t>();
    }
}

}  // namespace ipidefer::lab
