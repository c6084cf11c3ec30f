// SPDX-License-Identifier: GPL-2.0-or-later
// `ipidefer lab run`, from options to exit status.
#pragma once

#include <string>
#include <vector>

#include "experiments/lab/options.hpp"

namespace ipidefer::lab {

/// Runs the experiment, prints table and report. Returns the exit status;
/// throws a Failure for what keeps it from beginning.
[[nodiscard]] int lab_run(const RawOptions& raw,
                          const std::filesystem::path& guest_programs,
                          const std::vector<std::string>& command);

}  // namespace ipidefer::lab
