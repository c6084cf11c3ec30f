// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/terms/policy_text.hpp"

#include <nlohmann/json.hpp>
#include <sstream>

#include "base/duration.hpp"
#include "base/option_value.hpp"
#include "vmm/terms/vectors.hpp"

namespace ipidefer::terms {
namespace {

std::optional<bool> on_if_given(const std::string& option,
                                const std::string& text)
{
    if (text.empty()) return std::nullopt;
    return parse_switch(option, text);
}

}  // namespace

bool RawPolicy::empty() const noexcept
{
    return isolated.empty() && user.empty() && guest.empty() && idle.empty() &&
           vectors.empty() && max_age.empty() && !on && !off;
}

PolicyChange check_policy(const RawPolicy& raw, std::uint32_t vcpus,
                          Naming naming)
{
    const auto named = [naming](const char* option, const char* key) {
        return std::string{naming == Naming::kOptions ? option : key};
    };
    PolicyChange change;
    if (raw.on || raw.off) change.enabled = raw.on;
    change.user = on_if_given(named("--user", "user"), raw.user);
    change.guest = on_if_given(named("--guest", "guest"), raw.guest);
    change.idle = on_if_given(named("--idle", "idle"), raw.idle);
    if (raw.isolated == "none")
        change.isolated = CpuSet{};
    else if (!raw.isolated.empty())
        change.isolated = named_option(named("--isolated", "isolated"), [&] {
            return parse_cpulist(raw.isolated, vcpus);
        });
    const std::string of_vectors = named("--vector", "vectors");
    for (const std::string& text : raw.vectors) {
        const auto equals = text.find('=');
        if (equals == std::string::npos)
            refuse_option(of_vectors,
                          in_quotes(text) + " is not VECTOR=on or VECTOR=off");
        const auto vector = named_option(of_vectors, [&] {
            return parse_vector(std::string_view{text}.substr(0, equals));
        });
        change.vectors[vector] =
            parse_switch(of_vectors, text.substr(equals + 1));
    }
    if (!raw.max_age.empty())
        // As it is shown.
        change.max_age = named_option(named("--max-age", "max_age"), [&] {
            return raw.max_age == "none" ? std::chrono::nanoseconds{}
                                         : parse_duration(raw.max_age);
        });
    return change;
}

std::string to_text(const Policy& policy)
{
    std::ostringstream out;
    out << "enabled " << on_off(policy.enabled) << '\n'
        << "isolated "
        << (policy.isolated.empty() ? "none" : format_cpulist(policy.isolated))
        << '\n'
        << "user " << on_off(policy.user) << '\n'
        << "guest " << on_off(policy.guest) << '\n'
        << "idle " << on_off(policy.idle) << '\n'
        << "max_age " << age_or_none(policy.max_age) << '\n';
    for (const std::uint8_t vector : policy.denied)
        out << "vector " << vector_name(vector) << " off\n";
    return out.str();
}

nlohmann::ordered_json to_json(const Policy& policy)
{
    auto denied = nlohmann::ordered_json::array();
    for (const std::uint8_t vector : policy.denied)
        denied.push_back(vector_name(vector));
    return {{"enabled", policy.enabled},
            {"isolated", format_cpulist(policy.isolated)},
            {"user", policy.user},
            {"guest", policy.guest},
            {"idle", policy.idle},
            {"denied_vectors", denied},
            {"max_age_ns", policy.max_age.count()},
            {"trace", policy.trace}};
}

}  // namespace ipidefer::terms
