// SPDX-License-Identifier: GPL-2.0-or-later
// Any text: it is refused, or is a value within the bounds that is written and
// read again as the same.
#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "base/json_reader.hpp"

namespace {

constexpr ipidefer::JsonBounds kBounds{.max_bytes = 256, .max_depth = 6};

unsigned depth_of(const nlohmann::json& value)
{
    if (!value.is_structured()) return 0;
    unsigned depth = 0;
    for (const auto& part : value) depth = std::max(depth, depth_of(part));
    return depth + 1;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size)
{
    const std::string_view text{reinterpret_cast<const char*>(data), size};
    for (const bool comments : {false, true}) {
        auto bounds = kBounds;
        bounds.comments = comments;
        try {
            const auto value = ipidefer::read_json(text, bounds);
            if (size > bounds.max_bytes || depth_of(value) > bounds.max_depth)
                std::abort();
            // Numbers may be longer than they were.
            if (ipidefer::read_json(value.dump(), {.max_depth = 6}) != value)
                std::abort();
        } catch (const ipidefer::Failure&) {
        }
    }
    return 0;
}
