// SPDX-License-Identifier: GPL-2.0-or-later
// Domains: what libvirt says of the VMs here.
#pragma once

#include <map>
#include <optional>
#include <string>

namespace ipidefer::daemon {

struct DomainIdentity {
    std::string name;
    std::string uuid;
    bool operator==(const DomainIdentity&) const = default;
};

/// By the VM's name in the segment, as shown, which is the domain's unless its
/// XML says otherwise.
using Domains = std::map<std::string, DomainIdentity>;

struct LibvirtState {
    std::optional<bool> connected;  // nothing: not asked for
    Domains domains;                // as last known
};

}  // namespace ipidefer::daemon
