// SPDX-License-Identifier: GPL-2.0-or-later
// Configuration of ipideferd: a JSON file.
//
//   {
//     "listen": "127.0.0.1:9752",          metrics over HTTP; "" for none
//     "control": "/run/ipidefer/control",  unix socket; "" for none
//     "shm_dir": "/dev/shm",
//     "audit_log": "",                     "" for standard error only
//     "control_users": [0],                who may change policies
//     "libvirt_uri": "qemu:///system",     whose domains to follow; "" for none
//     "domains": {                         by VM, domain or UUID; "*" for all
//                                          others
//       "*":    { "max_age": "100ms" },
//       "web1": { "isolated": "2-5", "idle": "on",
//                 "vectors": { "sync_core": "off" }, "enabled": "on" }
//     }
//   }
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "domains.hpp"
#include "policy_options.hpp"

namespace ipidefer::daemon {

struct Config {
    std::string listen_address = "127.0.0.1";
    std::uint16_t listen_port = 9752;
    bool listen = true;
    std::filesystem::path control;
    std::filesystem::path shm_dir;
    std::filesystem::path audit_log;
    std::set<uid_t> control_users;
    std::string libvirt_uri;
    std::map<std::string, RawPolicy> domains;

    /// Of a VM: its own, else its domain's by UUID, else by name, else that of
    /// "*", else an empty one.
    [[nodiscard]] RawPolicy policy_of(
        const std::string& vm,
        const std::optional<DomainIdentity>& domain = std::nullopt) const;
};

/// Throws Failure, naming the key and what is wrong; unknown keys are refused.
[[nodiscard]] Config parse_config(const std::string& text);
[[nodiscard]] Config read_config(const std::filesystem::path& file);

/// A policy as an object of the above. Throws Failure.
[[nodiscard]] RawPolicy parse_policy(const std::string& json);

}  // namespace ipidefer::daemon
