// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/segment/policy_options.hpp"

#include <sstream>

#include "base/duration.hpp"
#include "base/failure.hpp"
#include "host/segment/vectors.hpp"

namespace ipidefer {
namespace {

[[noreturn]] void refuse(const std::string& option, const std::string& why)
{
    std::string text = option;
    text += ": ";
    text += why;
    throw Failure{Exit::kCannotRun, text};
}

bool is_on(const std::string& option, const std::string& text)
{
    if (text == "on") return true;
    if (text == "off") return false;
    std::string why = "'";
    why += text;
    why += "' is neither on nor off";
    refuse(option, why);
}

std::optional<bool> on_if_given(const std::string& option,
                                const std::string& text)
{
    if (text.empty()) return std::nullopt;
    return is_on(option, text);
}

/// What `read` makes of a value, with the option's name in front of failures.
template <class Read>
auto named(const std::string& option, Read read)
{
    try {
        return read();
    } catch (const Failure& failure) {
        refuse(option, failure.what());
    }
}

const char* on_off(bool on) { return on ? "on" : "off"; }

}  // namespace

bool RawPolicy::empty() const noexcept
{
    return isolated.empty() && user.empty() && guest.empty() && idle.empty() &&
           vectors.empty() && max_age.empty() && !on && !off;
}

segment::PolicyChange check_policy(const RawPolicy& raw, std::uint32_t vcpus)
{
    segment::PolicyChange change;
    if (raw.on || raw.off) change.enabled = raw.on;
    change.user = on_if_given("user", raw.user);
    change.guest = on_if_given("guest", raw.guest);
    change.idle = on_if_given("idle", raw.idle);
    if (raw.isolated == "none")
        change.isolated = CpuSet{};
    else if (!raw.isolated.empty())
        change.isolated = named(
            "isolated", [&] { return parse_cpulist(raw.isolated, vcpus); });
    for (const std::string& text : raw.vectors) {
        const auto equals = text.find('=');
        if (equals == std::string::npos) {
            std::string why = "'";
            why += text;
            why += "' is not VECTOR=on or VECTOR=off";
            refuse("vector", why);
        }
        const auto vector = named("vector", [&] {
            return segment::parse_vector(
                std::string_view{text}.substr(0, equals));
        });
        change.vectors[vector] = is_on("vector", text.substr(equals + 1));
    }
    if (!raw.max_age.empty())
        // As it is shown.
        change.max_age = named("max-age", [&] {
            return raw.max_age == "none" ? std::chrono::nanoseconds{}
                                         : parse_duration(raw.max_age);
        });
    return change;
}

std::string to_text(const segment::Policy& policy)
{
    std::ostringstream out;
    out << "enabled " << on_off(policy.enabled) << '\n'
        << "isolated "
        << (policy.isolated.empty() ? "none" : format_cpulist(policy.isolated))
        << '\n'
        << "user " << on_off(policy.user) << '\n'
        << "guest " << on_off(policy.guest) << '\n'
        << "idle " << on_off(policy.idle) << '\n'
        << "max_age "
        << (policy.max_age.count() == 0 ? "none"
                                        : format_duration(policy.max_age))
        << '\n';
    for (const std::uint8_t vector : policy.denied)
        out << "vector " << segment::vector_name(vector) << " off\n";
    return out.str();
}

}  // namespace ipidefer
