// SPDX-License-Identifier: GPL-2.0-or-later
// Metrics: the fleet in Prometheus' text format.
#pragma once

#include <string>
#include <vector>

#include "domains.hpp"
#include "status.hpp"

namespace ipidefer::daemon {

/// @param broken segments that cannot be read
[[nodiscard]] std::string metrics_text(
    const std::vector<segment::VmStatus>& vms, std::size_t broken,
    const LibvirtState& libvirt = {});

}  // namespace ipidefer::daemon
