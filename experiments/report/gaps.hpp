// SPDX-License-Identifier: GPL-2.0-or-later
// The loops' gaps of several runs, together.
#pragma once

#include <cstdint>
#include <map>

#include "experiments/report/lab_report.hpp"

namespace ipidefer::report {

inline constexpr std::uint64_t kNsInAMicrosecond = 1000;

/// vCPU -> what its loop saw in all these runs. Throws a Failure if there is
/// none.
[[nodiscard]] std::map<unsigned, Loop> loops_of(const LabRuns& runs);

/// The same of all their vCPUs together.
[[nodiscard]] Loop all_loops_of(const LabRuns& runs);

/// The end of a bucket, but no more than the longest gap, which is known
/// exactly.
[[nodiscard]] std::uint64_t known_end(std::uint64_t up_to, const Loop& loop);

/// How many gaps there are in all.
[[nodiscard]] std::uint64_t total_of(const Gaps& gaps);

}  // namespace ipidefer::report
