// SPDX-License-Identifier: GPL-2.0-or-later
// The experiment: each mode boots a guest, in which each workload runs while
// the isolated vCPUs spin in userspace.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <filesystem>
#include <vector>

#include "experiments/lab/options.hpp"
#include "experiments/lab/progress.hpp"
#include "experiments/lab/run.hpp"

namespace ipidefer::lab {

/// Adds to `report` as it goes. Throws a Failure for what stops it; what a
/// guest did wrong is also noted in the report.
/// @param points of a sweep, or what was asked for alone; they outlive this
[[nodiscard]] boost::asio::awaitable<void> run_experiment(
    const std::vector<Options>& points, const std::filesystem::path& scratch,
    Progress& progress, Report& report);

}  // namespace ipidefer::lab
