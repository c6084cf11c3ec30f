// SPDX-License-Identifier: GPL-2.0-or-later
// The report for programs: schema ipidefer-lab/1, see docs/LAB.md.
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "experiments/lab/repeated.hpp"
#include "experiments/lab/run.hpp"
#include "experiments/report/lab_report.hpp"

namespace ipidefer::lab {

/// Who reads reports again has it too.
using report::kReportSchema;

/// @param repeated of the same report (repeated.hpp): what the table shows too
[[nodiscard]] nlohmann::ordered_json to_json(
    const Report& report, const std::vector<Repeated>& repeated = {});

}  // namespace ipidefer::lab
