// SPDX-License-Identifier: GPL-2.0-or-later
// JSON that we write for other programs. In texts of others, bytes that are not
// UTF-8 become U+FFFD.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace ipidefer {

/// @tparam Json nlohmann::json or nlohmann::ordered_json
/// @param indent spaces for each level; below 0 all is one line
template <typename Json>
[[nodiscard]] std::string json_text(const Json& json, int indent = -1);

/// What --json FILE asks for: the report, indented, in that file, or with "-"
/// on standard output. Throws Failure.
template <typename Json>
void write_report(const std::string& file, const Json& report);

}  // namespace ipidefer
