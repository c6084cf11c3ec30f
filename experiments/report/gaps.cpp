// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/report/gaps.hpp"

#include <algorithm>

#include "base/failure.hpp"

namespace ipidefer::report {
namespace {

void add(Loop& sum, const Loop& loop)
{
    sum.interruptions += loop.interruptions;
    sum.longest_ns = std::max(sum.longest_ns, loop.longest_ns);
    for (const auto& [up_to, count] : loop.gaps) sum.gaps[up_to] += count;
}

}  // namespace

std::map<unsigned, Loop> loops_of(const LabRuns& runs)
{
    std::map<unsigned, Loop> all;
    for (const LabRun* run : runs)
        for (const auto& [cpu, loop] : run->loops) {
            if (!loop.gaps.empty()) add(all[cpu], loop);
        }
    if (all.empty())
        throw Failure{Exit::kNotPossible,
                      "these runs have no gaps: they had nested guests in "
                      "place of loops, or are of a lab that had no histograms"};
    return all;
}

Loop all_loops_of(const LabRuns& runs)
{
    Loop all;
    for (const auto& [cpu, loop] : loops_of(runs)) add(all, loop);
    return all;
}

std::uint64_t known_end(std::uint64_t up_to, const Loop& loop)
{
    return std::min(up_to, loop.longest_ns);
}

std::uint64_t total_of(const Gaps& gaps)
{
    std::uint64_t total = 0;
    for (const auto& [up_to, count] : gaps) total += count;
    return total;
}

}  // namespace ipidefer::report
