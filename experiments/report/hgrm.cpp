// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "experiments/report/gaps.hpp"
#include "experiments/report/outputs.hpp"

namespace ipidefer::report {
namespace {

/// Lines for each halving of what is left above, as HdrHistogram's tools have
/// it by default.
constexpr double kTicksPerHalf = 5;
/// A share that no count of gaps can have left; far above what adding to a
/// number next to 1 still changes.
constexpr double kNothingLeft = 1e-12;

}  // namespace

std::string to_hgrm(const LabRuns& runs)
{
    const Loop all = all_loops_of(runs);
    const auto total = static_cast<double>(total_of(all.gaps));
    const auto microseconds = [&](std::uint64_t up_to) {
        return static_cast<double>(known_end(up_to, all)) /
               static_cast<double>(kNsInAMicrosecond);
    };
    std::string text =
        "       Value     Percentile TotalCount 1/(1-Percentile)\n\n";
    const auto line = [&](std::uint64_t up_to, double share,
                          std::uint64_t seen) {
        text += fmt::format("{:12.3f} {:.12f} {:10} ", microseconds(up_to),
                            share, seen);
        text += share < 1 ? fmt::format("{:14.2f}\n", 1 / (1 - share))
                          : std::string{"           inf\n"};
    };
    // The next share that is worth a line: halves of what is left, in steps.
    double next = 0;
    std::uint64_t seen = 0;
    double sum = 0;
    double squares = 0;
    for (const auto& [up_to, count] : all.gaps) {
        seen += count;
        const double us = microseconds(up_to);
        sum += us * static_cast<double>(count);
        squares += us * us * static_cast<double>(count);
        const double share = static_cast<double>(seen) / total;
        if (share < next && static_cast<double>(seen) < total) continue;
        line(up_to, share, seen);
        while (next <= share && next < 1) {
            const double half =
                std::exp2(std::floor(std::log2(1 / (1 - next))) + 1);
            next += 1 / (half * kTicksPerHalf);
            if (1 - next < kNothingLeft) next = 1;
        }
    }
    const double mean = sum / total;
    const double variance = std::max(0.0, squares / total - mean * mean);
    text += fmt::format("#[Mean    = {:12.3f}, StdDeviation   = {:12.3f}]\n",
                        mean, std::sqrt(variance));
    text += fmt::format("#[Max     = {:12.3f}, Total count    = {:12}]\n",
                        static_cast<double>(all.longest_ns) /
                            static_cast<double>(kNsInAMicrosecond),
                        total_of(all.gaps));
    return text;
}

}  // namespace ipidefer::report
