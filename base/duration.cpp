// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/duration.hpp"

#include <array>
#include <charconv>
#include <cmath>

#include "base/failure.hpp"

namespace ipidefer {
namespace {

struct Unit {
    std::string_view name;
    std::int64_t ns;
};

constexpr std::array<Unit, 6> kUnits{{{"ns", 1},
                                      {"us", 1'000},
                                      {"ms", 1'000'000},
                                      {"s", kNsPerSecond},
                                      {"m", 60'000'000'000},
                                      {"h", 3'600'000'000'000}}};
constexpr double kLongest = 1e15;

[[noreturn]] void refuse(std::string_view text, const std::string& why)
{
    throw Failure{Exit::kCannotRun,
                  "duration '" + std::string{text} + "': " + why};
}

}  // namespace

std::chrono::nanoseconds parse_duration(std::string_view text)
{
    double number = 0;
    const char* end = text.data() + text.size();
    const auto [at, error] =
        std::from_chars(text.data(), end, number, std::chars_format::fixed);
    if (error != std::errc{} || !std::isfinite(number) || number < 0)
        refuse(text, "it does not start with a number, as 10ms does");
    const std::string_view name{at, static_cast<std::size_t>(end - at)};
    if (name.empty() && number == 0) return std::chrono::nanoseconds{0};
    for (const Unit& unit : kUnits) {
        if (unit.name != name) continue;
        const double ns = number * static_cast<double>(unit.ns);
        if (ns > kLongest) refuse(text, "it is longer than 11 days");
        return std::chrono::nanoseconds{std::llround(ns)};
    }
    refuse(text, name.empty()
                     ? "it lacks a unit: ns, us, ms, s, m or h"
                     : "'" + std::string{name} +
                           "' is none of the units ns, us, ms, s, m, h");
}

std::string format_duration(std::chrono::nanoseconds duration)
{
    const std::int64_t ns = duration.count();
    if (ns == 0) return "0";
    // People count seconds, not minutes, in what is measured.
    Unit unit = kUnits.front();
    for (const Unit& larger : kUnits)
        if (larger.ns <= kUnits[3].ns && ns >= larger.ns) unit = larger;
    std::string text = std::to_string(ns / unit.ns);
    const std::int64_t thousandths = ns % unit.ns * 1'000 / unit.ns;
    if (thousandths == 0) return text + std::string{unit.name};
    std::string digits = std::to_string(1'000 + thousandths).substr(1);
    digits.erase(digits.find_last_not_of('0') + 1);
    return text + '.' + digits + std::string{unit.name};
}

}  // namespace ipidefer
