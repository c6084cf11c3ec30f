// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/sweep.hpp"

#include <algorithm>
#include <array>
#include <set>

#include "base/option_value.hpp"
#include "base/text.hpp"

namespace ipidefer::lab {
namespace {

constexpr char kSweep[] = "--sweep";

void append(RawOptions& raw, const std::string& text)
{
    if (text.empty()) return;
    if (!raw.append.empty()) raw.append += ' ';
    raw.append += text;
}

/// What can be swept, and how a value is set.
struct Swept {
    const char* name;
    void (*set)(RawOptions& raw, const std::string& value);
};

const std::array<Swept, 6>& all_swept()
{
    static const std::array<Swept, 6> all{{
        {"append",
         [](RawOptions& raw, const std::string& value) { append(raw, value); }},
        {"cpus",
         [](RawOptions& raw, const std::string& value) {
             const auto cpus = number_of<unsigned>(value);
             if (!cpus)
                 refuse_option(kSweep, in_quotes(printable(value)) +
                                           " is no number of vCPUs");
             raw.cpus = *cpus;
         }},
        {"irqchip", [](RawOptions& raw,
                       const std::string& value) { raw.irqchip = value; }},
        {"isolated", [](RawOptions& raw,
                        const std::string& value) { raw.isolated = value; }},
        {"mem",
         [](RawOptions& raw, const std::string& value) { raw.memory = value; }},
        {"pti",
         [](RawOptions& raw, const std::string& value) {
             append(raw, parse_switch(std::string{kSweep} + ": pti", value)
                             ? "pti=on"
                             : "pti=off");
         }},
    }};
    return all;
}

const Swept* find_swept(const std::string& name)
{
    const auto found = std::ranges::find_if(
        all_swept(), [&](const Swept& one) { return name == one.name; });
    return found == all_swept().end() ? nullptr : &*found;
}

std::string swept_names()
{
    std::string names;
    for (const Swept& one : all_swept())
        names += (names.empty() ? "" : ", ") + std::string{one.name};
    return names;
}

}  // namespace

Factor parse_factor(const std::string& text)
{
    const auto equals = text.find('=');
    if (equals == std::string::npos)
        refuse_option(kSweep, in_quotes(printable(text)) +
                                  " is not NAME=VALUE,VALUE,...");
    Factor factor{text.substr(0, equals), {}};
    if (find_swept(factor.name) == nullptr)
        refuse_option(kSweep, in_quotes(printable(factor.name)) +
                                  " is none of " + swept_names() +
                                  "; other parameters of the kernel are values "
                                  "of append");
    const std::string values = text.substr(equals + 1);
    const bool bars = values.find('|') != std::string::npos;
    std::size_t begin = 0;
    for (;;) {
        const auto end = values.find(bars ? '|' : ',', begin);
        std::string value =
            values.substr(begin, end == std::string::npos ? end : end - begin);
        if (value.empty() && !bars)
            refuse_option(kSweep,
                          in_quotes(printable(text)) + " has an empty value");
        if (std::ranges::find(factor.values, value) != factor.values.end())
            refuse_option(kSweep, in_quotes(printable(value)) +
                                      " is there twice, in " +
                                      in_quotes(printable(text)));
        factor.values.push_back(std::move(value));
        if (end == std::string::npos) return factor;
        begin = end + 1;
    }
}

std::vector<Factors> points_of(const std::vector<Factor>& factors)
{
    std::vector<Factors> points(1);
    std::set<std::string> names;
    for (const Factor& factor : factors) {
        if (!names.insert(factor.name).second)
            refuse_option(kSweep, in_quotes(factor.name) + " is there twice");
        std::vector<Factors> more;
        for (const Factors& point : points)
            for (const std::string& value : factor.values) {
                more.push_back(point);
                more.back().emplace_back(factor.name, value);
            }
        if (more.size() > kMostPoints)
            refuse_option(kSweep, "makes " + std::to_string(more.size()) +
                                      " combinations or more, of at most " +
                                      std::to_string(kMostPoints));
        points = std::move(more);
    }
    return points;
}

RawOptions at_point(RawOptions raw, const Factors& point)
{
    for (const auto& [name, value] : point) find_swept(name)->set(raw, value);
    return raw;
}

std::vector<Options> check_sweep(const RawOptions& raw,
                                 const std::filesystem::path& guest_programs)
{
    std::vector<Factor> factors;
    for (const std::string& text : raw.sweep)
        factors.push_back(parse_factor(text));
    std::vector<Options> all;
    for (const Factors& point : points_of(factors)) {
        Options options = check_options(at_point(raw, point), guest_programs);
        options.factors = point;
        if (!point.empty()) options.point = all.size() + 1;
        // Drawn anew for each of them otherwise.
        if (!all.empty()) options.seed = all.front().seed;
        all.push_back(std::move(options));
    }
    return all;
}

}  // namespace ipidefer::lab
