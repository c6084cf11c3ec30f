// SPDX-License-Identifier: GPL-2.0-or-later
// Connection: a hypervisor connection of libvirt, and domains of it. All calls
// wait for libvirtd.
#pragma once

#include <libvirt/libvirt.h>

#include <memory>
#include <string>
#include <vector>

#include "base/failure.hpp"

namespace ipidefer::libvirt {

struct CloseConnection {
    void operator()(virConnectPtr connection) const noexcept;
};
using ConnectionPtr = std::unique_ptr<virConnect, CloseConnection>;

struct FreeDomain {
    void operator()(virDomainPtr domain) const noexcept;
};
using DomainPtr = std::unique_ptr<virDomain, FreeDomain>;

/// What libvirt said last, in this thread.
[[nodiscard]] Failure failed(const std::string& what);

/// For looking: libvirt lets nothing be changed through it.
/// @param uri empty: as virsh would choose
/// Throws Failure.
[[nodiscard]] ConnectionPtr connect(const std::string& uri);

/// By name or, failing that, UUID. Throws Failure when there is none.
[[nodiscard]] DomainPtr find_domain(virConnectPtr connection,
                                    const std::string& name);

/// As it runs, if it does. Throws Failure.
[[nodiscard]] std::string xml_of(virDomainPtr domain);
[[nodiscard]] std::string name_of(virDomainPtr domain);
[[nodiscard]] std::string uuid_of(virDomainPtr domain);
[[nodiscard]] bool is_active(virDomainPtr domain);

/// Those that run. Throws Failure.
[[nodiscard]] std::vector<DomainPtr> active_domains(virConnectPtr connection);

}  // namespace ipidefer::libvirt
