// SPDX-License-Identifier: GPL-2.0-or-later
// Configuration of ipideferd: a JSON file.
//
//   {
//     "listen": "127.0.0.1:9752",          metrics over HTTP; "" for none
//     "control": "/run/ipidefer/control",  unix socket; "" for none
//     "shm_dir": "",                       where segments are; "" for a folder
//                                          of each owner
//     "owners": ["root", "libvirt-qemu"],  whose VMs to watch
//     "max_vms": 1000,                     watch no more
//     "max_samples_per_vm": 20000,         sum up a VM's vCPUs above this
//     "max_samples": 200000,               and leave VMs out above this
//     "audit_log": "",                     "" for standard error only
//     "control_users": ["root"],           who may change policies, and ask
//     "status_users": [],                  who may ask
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

#include "host/daemon/domains.hpp"
#include "host/segment/place.hpp"
#include "vmm/terms/policy_text.hpp"

namespace ipidefer::daemon {

/// What one VM, or all of them, may make of us.
struct Limits {
    std::size_t vms = 1000;
    std::size_t samples_per_vm = 20'000;
    std::size_t samples = 200'000;
};

struct Config {
    std::string listen_address = "127.0.0.1";
    std::uint16_t listen_port = 9752;
    bool listen = true;
    std::filesystem::path control;
    segment::Place place;
    Limits limits;
    std::filesystem::path audit_log;
    std::set<uid_t> control_users;
    std::set<uid_t> status_users;
    std::string libvirt_uri;
    std::map<std::string, terms::RawPolicy> domains;

    /// @param vm its name, as it is
    /// Of a VM: its own, else its domain's by UUID, else by name, else that of
    /// "*", else an empty one.
    [[nodiscard]] terms::RawPolicy policy_of(
        const std::string& vm,
        const std::optional<DomainIdentity>& domain = std::nullopt) const;
};

/// Throws Failure, naming the key and what is wrong; unknown keys are refused.
[[nodiscard]] Config parse_config(const std::string& text);
[[nodiscard]] Config read_config(const std::filesystem::path& file);

/// A policy as an object of the above. Throws Failure.
[[nodiscard]] terms::RawPolicy parse_policy(const std::string& json);

}  // namespace ipidefer::daemon
