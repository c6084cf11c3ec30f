// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/report/gaps.hpp"

#include <algorithm>
#include <cmath>

#include "base/failure.hpp"

namespace ipidefer::report {

std::map<unsigned, Loop> loops_of(const LabRuns& runs)
{
    std::map<unsigned, Loop> all;
    for (const LabRun* run : runs)
        for (const auto& [cpu, loop] : run->loops) {
            if (loop.gaps.empty()) continue;
            Loop& sum = all[cpu];
            sum.interruptions += loop.interruptions;
            sum.longest_ns = std::max(sum.longest_ns, loop.longest_ns);
            for (const auto& [up_to, count] : loop.gaps)
                sum.gaps[up_to] += count;
        }
    if (all.empty())
        throw Failure{Exit::kNotPossible,
                      "these runs have no gaps: they had nested guests in "
                      "place of loops, or are of a lab that had no histograms"};
    return all;
}

std::uint64_t total_of(const Gaps& gaps)
{
    std::uint64_t total = 0;
    for (const auto& [up_to, count] : gaps) total += count;
    return total;
}

std::uint64_t quantile_of(const Gaps& gaps, double share)
{
    const double wanted =
        std::ceil(share * static_cast<double>(total_of(gaps)));
    std::uint64_t seen = 0;
    for (const auto& [up_to, count] : gaps) {
        seen += count;
        if (static_cast<double>(seen) >= wanted) return up_to;
    }
    return 0;
}

}  // namespace ipidefer::report
