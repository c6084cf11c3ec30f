// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/guest_snapshot.hpp"

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

}  // namespace ipidefer::lab
