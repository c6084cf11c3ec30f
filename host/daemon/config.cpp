// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/daemon/config.hpp"

#include <ipidefer/shm.h>
#include <unistd.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/failure.hpp"
#include "base/file.hpp"
#include "base/json_reader.hpp"
#include "base/json_writer.hpp"
#include "base/option_value.hpp"
#include "base/text.hpp"
#include "host/segment/open.hpp"

namespace ipidefer::daemon {
namespace {

using nlohmann::json;

/// Longest policy that makes sense, for whatever VM.
constexpr std::uint32_t kAnyVm = IPIDEFER_MAX_VCPUS;
/// Of VMs and samples: more than any host has, and than memory is for.
constexpr std::uint64_t kMostOfAnything = 10'000'000;

/// Of what is below a key; "" is the whole.
std::string below(const std::string& where, const std::string& key)
{
    return where.empty() ? key : where + '.' + key;
}

[[noreturn]] void refuse(const std::string& key, const std::string& why)
{
    if (key.empty()) throw Failure{Exit::kCannotRun, why};
    refuse_option(printable(key), why);
}

/// With the value, as far as it fits into a line.
[[noreturn]] void refuse(const std::string& key, const json& value,
                         const std::string& what_it_is_not)
{
    constexpr std::size_t kMostShown = 60;
    std::string shown = json_text(value);
    if (shown.size() > kMostShown) shown = shown.substr(0, kMostShown) + "...";
    refuse(key, printable(shown) + " is not " + what_it_is_not);
}

std::string string_of(const std::string& key, const json& value)
{
    if (!value.is_string()) refuse(key, value, "a string");
    return value.get<std::string>();
}

using Keys = std::map<std::string, std::function<void(const json&)>>;

void read_object(const std::string& where, const json& object, const Keys& keys)
{
    if (!object.is_object()) refuse(where, object, "an object");
    for (const auto& [key, value] : object.items()) {
        const auto known = keys.find(key);
        if (known == keys.end())
            refuse(below(where, key), "there is no such key");
        known->second(value);
    }
}

terms::RawPolicy policy_from(const std::string& where, const json& object)
{
    terms::RawPolicy raw;
    const auto text = [&where](std::string& to, const char* key) {
        return std::pair{std::string{key},
                         std::function{[&where, &to, key](const json& value) {
                             to = string_of(below(where, key), value);
                         }}};
    };
    const Keys keys{
        text(raw.isolated, "isolated"),
        text(raw.user, "user"),
        text(raw.guest, "guest"),
        text(raw.idle, "idle"),
        text(raw.max_age, "max_age"),
        {"enabled",
         [&](const json& value) {
             const std::string key = below(where, "enabled");
             (parse_switch(printable(key), string_of(key, value)) ? raw.on
                                                                  : raw.off) =
                 true;
         }},
        {"vectors",
         [&](const json& value) {
             const std::string key = below(where, "vectors");
             if (!value.is_object()) refuse(key, value, "an object");
             for (const auto& [vector, state] : value.items())
                 raw.vectors.push_back(vector + '=' +
                                       string_of(below(key, vector), state));
         }},
    };
    read_object(where, object, keys);
    try {
        (void)terms::check_policy(raw, kAnyVm);
    } catch (const Failure& failure) {
        // It begins with the key.
        throw Failure{failure.exit(), below(printable(where), failure.what())};
    }
    return raw;
}

void read_listen(Config& config, const std::string& text)
{
    config.listen = !text.empty();
    if (text.empty()) return;
    const auto colon = text.rfind(':');
    const auto port = colon == std::string::npos
                          ? std::nullopt
                          : number_of<std::uint16_t>(
                                std::string_view{text}.substr(colon + 1));
    if (!port) refuse("listen", "'" + text + "' is not ADDRESS:PORT");
    config.listen_port = *port;
    config.listen_address = text.substr(0, colon);
    if (config.listen_address.starts_with('[') &&
        config.listen_address.ends_with(']'))
        config.listen_address =
            config.listen_address.substr(1, config.listen_address.size() - 2);
}

/// Names or numbers of users.
std::vector<uid_t> users_from(const std::string& key, const json& value)
{
    if (!value.is_array()) refuse(key, value, "an array");
    std::vector<std::string> users;
    for (const json& user : value) {
        if (!user.is_number_unsigned() && !user.is_string())
            refuse(key, user, "a user, by name or number");
        users.push_back(user.is_string() ? user.get<std::string>()
                                         : user.dump());
    }
    try {
        return segment::users_of(users);
    } catch (const Failure& failure) {
        refuse(key, failure.what());
    }
}

json parsed(const std::string& text)
{
    return read_json(text, {.comments = true});
}

Config config_from(const std::string& text)
{
    Config config;
    config.control_users = {0, ::geteuid()};
    const auto path = [](std::filesystem::path& to, const char* key) {
        return [&to, key](const json& value) { to = string_of(key, value); };
    };
    const auto limit = [](std::size_t& to, const char* key) {
        return [&to, key](const json& value) {
            if (!value.is_number_unsigned() ||
                value.get<std::uint64_t>() > kMostOfAnything)
                refuse(key, value,
                       "a number from 0 to " + std::to_string(kMostOfAnything));
            to = value.get<std::size_t>();
        };
    };
    const Keys keys{
        {"listen",
         [&](const json& value) {
             read_listen(config, string_of("listen", value));
         }},
        {"control", path(config.control, "control")},
        {"shm_dir", path(config.place.directory, "shm_dir")},
        {"owners",
         [&](const json& value) {
             config.place.owners = users_from("owners", value);
         }},
        {"max_vms", limit(config.limits.vms, "max_vms")},
        {"max_samples_per_vm",
         limit(config.limits.samples_per_vm, "max_samples_per_vm")},
        {"max_samples", limit(config.limits.samples, "max_samples")},
        {"audit_log", path(config.audit_log, "audit_log")},
        {"control_users",
         [&](const json& value) {
             const auto users = users_from("control_users", value);
             config.control_users = {users.begin(), users.end()};
         }},
        {"status_users",
         [&](const json& value) {
             const auto users = users_from("status_users", value);
             config.status_users = {users.begin(), users.end()};
         }},
        {"libvirt_uri",
         [&](const json& value) {
             config.libvirt_uri = string_of("libvirt_uri", value);
         }},
        {"domains",
         [&](const json& value) {
             if (!value.is_object()) refuse("domains", value, "an object");
             for (const auto& [name, policy] : value.items())
                 config.domains[name] = policy_from("domains." + name, policy);
         }},
    };
    read_object("", parsed(text), keys);
    return config;
}

}  // namespace

terms::RawPolicy Config::policy_of(
    const std::string& vm, const std::optional<DomainIdentity>& domain) const
{
    // As it is, or as it is shown, in case it is not UTF-8.
    std::vector<std::string> names{vm, segment::shown_name(vm)};
    if (domain) names.insert(names.end(), {domain->uuid, domain->name});
    names.emplace_back("*");
    for (const std::string& name : names)
        if (const auto own = domains.find(name); own != domains.end())
            return own->second;
    return {};
}

Config parse_config(const std::string& text)
{
    return named_option("configuration", [&] { return config_from(text); });
}

Config read_config(const std::filesystem::path& file)
{
    const std::string text = read_whole(file);
    return named_option("configuration " + in_quotes(printable(file.string())),
                        [&] { return config_from(text); });
}

terms::RawPolicy parse_policy(const std::string& text)
{
    return policy_from("policy", parsed(text));
}

}  // namespace ipidefer::daemon
