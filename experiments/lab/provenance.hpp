// SPDX-License-Identifier: GPL-2.0-or-later
// Where a result comes from: enough to make it again.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "experiments/lab/options.hpp"

namespace ipidefer::lab {

/// Versions, hashes of kernel and QEMU and of what they were built from, the
/// command line, the host. Takes the time to hash; throws nothing, what cannot
/// be found out is null.
[[nodiscard]] nlohmann::json provenance(
    const Options& options, const std::vector<std::string>& command);

}  // namespace ipidefer::lab
