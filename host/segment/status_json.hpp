// SPDX-License-Identifier: GPL-2.0-or-later
// Status as JSON, the same in every tool.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "host/segment/status.hpp"

namespace ipidefer::segment {

[[nodiscard]] nlohmann::ordered_json to_json(const VmStatus& status);

}  // namespace ipidefer::segment
