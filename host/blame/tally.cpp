// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/blame/tally.hpp"

#include <algorithm>

namespace ipidefer::blame {

Tally& Tally::operator+=(const Tally& other)
{
    away_ns += other.away_ns;
    also += other.also;
    for (const auto& [stack, count] : other.stacks) stacks[stack] += count;
    return *this;
}

void add(Tallies& sum, const Tallies& part)
{
    for (const auto& [of, tally] : part) sum[of] += tally;
}

Tallies together(const Tallies& tallies)
{
    Tallies all;
    for (const auto& [of, tally] : tallies) all[{0, of.second}] += tally;
    return all;
}

std::vector<std::pair<const Stack*, std::uint64_t>> by_count(
    const std::map<Stack, std::uint64_t>& stacks)
{
    std::vector<std::pair<const Stack*, std::uint64_t>> sorted;
    sorted.reserve(stacks.size());
    for (const auto& [stack, count] : stacks)
        sorted.emplace_back(&stack, count);
    std::ranges::stable_sort(sorted, [](const auto& one, const auto& other) {
        return one.second > other.second;
    });
    return sorted;
}

}  // namespace ipidefer::blame
