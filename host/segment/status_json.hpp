// SPDX-License-Identifier: GPL-2.0-or-later
// Status as JSON, the same in every tool.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "host/segment/status.hpp"

namespace ipidefer::segment {

[[nodiscard]] nlohmann::ordered_json to_json(const VmStatus& status);

/// One line, or indented; whatever is not UTF-8 is replaced.
[[nodiscard]] std::string dump(const nlohmann::ordered_json& json,
                               int indent = -1);

}  // namespace ipidefer::segment
