// SPDX-License-Identifier: GPL-2.0-or-later
// Domain checks: is a domain fit for isolated vCPUs that are to be left alone,
// on this host? Each finding has a remedy.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "host/check/host_checks.hpp"
#include "host/check/host_cpus.hpp"
#include "host/domain/domain.hpp"
#include "host/domain/emulator.hpp"
#include "host/segment/status.hpp"

namespace ipidefer::domain {

/// What a domain that runs says of itself.
struct Running {
    std::optional<segment::VmStatus> status;  // of its segment
    std::string why_not;                      // there is no status
};

struct CheckInput {
    Domain domain;
    check::HostCpus host;
    bool ipis_bypass_kvm = false;              // AVIC, IPI virtualization
    std::optional<std::string> kvm_complaint;  // why it cannot be used here
    std::optional<Emulator> emulator;          // where it could be asked
    std::optional<Running> running;
};

/// One for each aspect, in the same order always. Names begin with "domain."
[[nodiscard]] std::vector<check::Finding> domain_findings(
    const CheckInput& input);

}  // namespace ipidefer::domain
