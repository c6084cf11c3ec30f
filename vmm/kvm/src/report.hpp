// SPDX-License-Identifier: GPL-2.0-or-later
// What is told of a run: a table for people, JSON ("ipidefer-vmm/1") for
// programs.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "vmm/kvm/src/machine.hpp"

namespace ipidefer::vmm {

[[nodiscard]] nlohmann::json report_json(const Machine& machine,
                                         const Outcome& outcome,
                                         const Probe& probe);

/// Verdicts by vCPU and vector, and what each vCPU has been through.
[[nodiscard]] std::string report_table(const nlohmann::json& report);

}  // namespace ipidefer::vmm
