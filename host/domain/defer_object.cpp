// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/domain/defer_object.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/failure.hpp"
#include "base/json_reader.hpp"
#include "base/text.hpp"

namespace ipidefer::domain {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kType = "ipi-defer";
constexpr std::string_view kTypeKey = "qom-type";
constexpr std::string_view kIsolated = "isolated-cpus";

/// As QEMU's own parser has it.
constexpr unsigned kMaxDepth = 1024;

/// Null for what is no JSON, of which QEMU will say so. Throws Failure for what
/// is nested deeper than QEMU takes.
Json parse_json(std::string_view text)
{
    try {
        return read_json<Json>(text, {.max_depth = kMaxDepth});
    } catch (const NotJson&) {
        return {};
    } catch (const Failure& failure) {
        throw Failure{failure.exit(),
                      std::string{"-object: "} + failure.what()};
    }
}

/// At commas; a doubled comma is one that does not separate.
std::vector<std::string> split(std::string_view text)
{
    std::vector<std::string> parts(1);
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != ',') {
            parts.back() += text[i];
        } else if (i + 1 < text.size() && text[i + 1] == ',') {
            parts.back() += text[i++];
        } else {
            parts.emplace_back();
        }
    }
    return parts;
}

std::string doubled(std::string_view text)
{
    std::string result;
    for (const char c : text)
        result += c == ',' ? std::string{",,"} : std::string{c};
    return result;
}

/// "isolated-cpus", or "isolated-cpus.0".
bool is_isolated(std::string_view key)
{
    if (!key.starts_with(kIsolated)) return false;
    key.remove_prefix(kIsolated.size());
    return key.empty() ||
           (key.starts_with('.') && number_of<unsigned>(key.substr(1)));
}

}  // namespace

std::optional<DeferObject> DeferObject::parse(std::string_view argument)
{
    DeferObject object;
    if (trimmed(argument).starts_with('{')) {
        const Json json = parse_json(argument);
        if (!json.is_object() || json.value(kTypeKey, Json{}) != kType)
            return std::nullopt;
        object.json_ = true;
        for (const auto& [key, value] : json.items())
            object.fields_.push_back(
                {key,
                 value.is_string() ? value.get<std::string>() : value.dump(),
                 value.is_string()});
        return object;
    }
    const auto parts = split(argument);
    object.typed_ = parts[0] != kType;
    if (object.typed_ &&
        std::ranges::find(parts, std::string{kTypeKey} + '=' +
                                     std::string{kType}) == parts.end())
        return std::nullopt;
    for (const std::string& part : parts) {
        if (&part == &parts.front() && !object.typed_) continue;
        const auto equals = part.find('=');
        // A key alone is a switch.
        object.fields_.push_back(
            {part.substr(0, equals),
             equals == std::string::npos ? "on" : part.substr(equals + 1)});
    }
    return object;
}

DeferObject DeferObject::create(const std::string& id)
{
    DeferObject object;
    object.fields_.push_back({"id", id});
    return object;
}

std::optional<std::string> DeferObject::get(const std::string& key) const
{
    const auto at = std::ranges::find(fields_, key, &Field::key);
    if (at == fields_.end()) return std::nullopt;
    return at->value;
}

CpuSet DeferObject::isolated() const
{
    CpuSet cpus;
    for (const Field& field : fields_) {
        if (!is_isolated(field.key)) continue;
        std::string list = field.value;
        if (json_)
            std::erase_if(list, [](char c) { return c == '[' || c == ']'; });
        if (trimmed(list).empty()) continue;
        try {
            cpus.merge(parse_cpulist(list, kMostVcpus));
        } catch (const Failure& failure) {
            throw Failure{Exit::kCannotRun, "ipi-defer: isolated-cpus: " +
                                                std::string{failure.what()}};
        }
    }
    return cpus;
}

void DeferObject::set(const std::string& key, const std::string& value)
{
    const auto at = std::ranges::find(fields_, key, &Field::key);
    if (at != fields_.end())
        *at = {key, value};
    else
        fields_.push_back({key, value});
}

void DeferObject::set_isolated(const CpuSet& cpus)
{
    // Where they were, or behind the id.
    const auto old = std::ranges::find_if(
        fields_, [](const Field& f) { return is_isolated(f.key); });
    auto at = static_cast<std::size_t>(old - fields_.begin());
    std::erase_if(fields_, [](const Field& f) { return is_isolated(f.key); });
    const auto put = [&](std::string value, bool quoted) {
        fields_.insert(fields_.begin() + static_cast<std::ptrdiff_t>(at++),
                       {std::string{kIsolated}, std::move(value), quoted});
    };
    if (json_) return put(Json(cpus).dump(), false);
    // A list of ranges is one key for each of them.
    for (const std::string& range : split(format_cpulist(cpus)))
        put(range, true);
}

std::string DeferObject::argument() const
{
    if (json_) {
        Json json;
        for (const Field& field : fields_)
            json[field.key] = field.quoted
                                  ? Json(field.value)
                                  : Json::parse(field.value, nullptr, false);
        return json.dump();
    }
    std::string text{typed_ ? "" : kType};
    for (const Field& field : fields_) {
        if (!text.empty()) text += ',';
        text += field.key + '=' + doubled(field.value);
    }
    return text;
}

}  // namespace ipidefer::domain
