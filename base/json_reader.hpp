// SPDX-License-Identifier: GPL-2.0-or-later
// JSON that others wrote, read within bounds. nlohmann::json parses whatever
// fits into memory, but copies, compares and writes a value by recursion: one
// that is nested too deeply uses up the stack of whoever handles it.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/failure.hpp"

namespace ipidefer {

struct JsonBounds {
    std::size_t max_bytes = std::size_t{16} << 20;
    /// Arrays and objects in one another; what nothing nests has a depth of 0.
    unsigned max_depth = 64;
    /// Whether // and /* */ are ignored.
    bool comments = false;
};

/// The text is no JSON: the message says where it ceases to be.
class NotJson : public Failure {
  public:
    using Failure::Failure;
};

/// @tparam Json nlohmann::json or nlohmann::ordered_json
/// Throws Failure for a text beyond the bounds, naming its size or depth and
/// the limit, and NotJson.
template <typename Json = nlohmann::json>
[[nodiscard]] Json read_json(std::string_view text,
                             const JsonBounds& bounds = {});

extern template nlohmann::json read_json(std::string_view, const JsonBounds&);
extern template nlohmann::ordered_json read_json(std::string_view,
                                                 const JsonBounds&);

}  // namespace ipidefer
