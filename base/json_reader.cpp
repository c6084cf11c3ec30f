// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/json_reader.hpp"

#include <algorithm>
#include <string>

#include "base/text.hpp"

namespace ipidefer {
namespace {

void check_limit(const std::string& what, std::size_t value, std::size_t limit,
                 const std::string& unit)
{
    if (value > limit)
        throw Failure{Exit::kCannotRun,
                      "JSON: " + what + ' ' + std::to_string(value) + unit +
                          ", the most is " + std::to_string(limit)};
}

/// Without the library's own name and number of the error.
std::string reason(std::string_view what)
{
    if (const auto end = what.find("] "); end != std::string_view::npos)
        what.remove_prefix(end + 2);
    return printable(what);
}

}  // namespace

template <typename Json>
Json read_json(std::string_view text, const JsonBounds& bounds)
{
    check_limit("it has", text.size(), bounds.max_bytes, " bytes");
    unsigned deepest = 0;
    // What is nested too deeply is left out, so that there is a depth to name.
    const auto keep = [&](int around, auto event, Json&) {
        if (event != Json::parse_event_t::array_start &&
            event != Json::parse_event_t::object_start)
            return true;
        const auto depth = static_cast<unsigned>(around) + 1;
        deepest = std::max(deepest, depth);
        return depth <= bounds.max_depth;
    };
    Json value;
    std::string fault;
    try {
        value = Json::parse(text, keep, true, bounds.comments);
    } catch (const typename Json::exception& error) {
        fault = reason(error.what());
    }
    // First, as a text that ends within its brackets is often both.
    check_limit("it is nested", deepest, bounds.max_depth, " deep");
    if (!fault.empty()) throw NotJson{Exit::kCannotRun, "not JSON: " + fault};
    return value;
}

template nlohmann::json read_json(std::string_view, const JsonBounds&);
template nlohmann::ordered_json read_json(std::string_view, const JsonBounds&);

}  // namespace ipidefer
