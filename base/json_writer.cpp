// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/json_writer.hpp"

#include <iostream>
#include <nlohmann/json.hpp>

#include "base/file.hpp"
#include "base/option_value.hpp"

namespace ipidefer {

template <typename Json>
std::string json_text(const Json& json, int indent)
{
    return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

template <typename Json>
void write_report(const std::string& file, const Json& report)
{
    const std::string text = json_text(report, 2) + '\n';
    if (file == "-")
        std::cout << text << std::flush;
    else
        named_option("--json", [&] { write_whole(file, text); });
}

template std::string json_text(const nlohmann::json&, int);
template std::string json_text(const nlohmann::ordered_json&, int);
template void write_report(const std::string&, const nlohmann::json&);
template void write_report(const std::string&, const nlohmann::ordered_json&);

}  // namespace ipidefer
