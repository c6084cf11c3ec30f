// SPDX-License-Identifier: GPL-2.0-or-later
// What the VMM says it did with typed IPIs: the answer to query-ipi-defer.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "vmm/terms/verdict_counts.hpp"

namespace ipidefer::lab {

struct VmmBinding {
    unsigned vector = 0;
    std::uint32_t accept_mask = 0;
    std::uint32_t accept_value = 0;
    std::uint32_t work_bit = 0;

    /// Is this work recorded in `word`, and still bound to be done?
    [[nodiscard]] bool pending(std::uint32_t word) const noexcept
    {
        return (word & accept_mask) == accept_value && (word & work_bit) != 0;
    }
};

struct VmmCpu {
    bool isolated = false;
    /// In the order in which the guest registered them.
    std::vector<VmmBinding> bindings;
    std::map<unsigned, terms::VerdictCounts> by_vector;
    /// By vector: of those delivered, how many found it pending in the local
    /// APIC, so that the vCPU takes one interrupt for both. Has no entry where
    /// the VMM does not see that.
    std::map<unsigned, std::uint64_t> merged;
};

/// By vCPU.
using VmmReport = std::map<unsigned, VmmCpu>;

/// Throws a Failure for what is no answer to query-ipi-defer.
[[nodiscard]] VmmReport parse_ipi_defer(const nlohmann::json& answer);

/// Does the VMM see what the guest sends by its local APIC? Otherwise the guest
/// rings a doorbell. One that does not say so has no doorbell.
[[nodiscard]] bool sees_icr(const nlohmann::json& answer);

}  // namespace ipidefer::lab
