// SPDX-License-Identifier: GPL-2.0-or-later
// What the VMM says it did with typed IPIs: the answer to query-ipi-defer.
#pragma once

#include <ipidefer/ipidefer.h>

#include <array>
#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <vector>

namespace ipidefer::lab {

/// How many IPIs of one vector to one vCPU ended in each way.
struct Verdicts {
    /// By ipidefer_verdict; passed IPIs are not counted, and stay 0.
    std::array<std::uint64_t, IPIDEFER_VERDICTS> count{};

    [[nodiscard]] std::uint64_t recorded() const noexcept;
    [[nodiscard]] std::uint64_t delivered() const noexcept;

    Verdicts& operator+=(const Verdicts& other) noexcept;
    /// Counters only grow; a difference that is negative is 0.
    friend Verdicts operator-(const Verdicts& after,
                              const Verdicts& before) noexcept;
};

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
    std::map<unsigned, Verdicts> by_vector;
    /// By vector: of those delivered, how many found it pending in the local
    /// APIC, so that the vCPU takes one interrupt for both. Has no entry where
    /// the VMM does not see that.
    std::map<unsigned, std::uint64_t> merged;
};

/// By vCPU.
using VmmReport = std::map<unsigned, VmmCpu>;

/// Throws a Failure for what is no answer to query-ipi-defer.
[[nodiscard]] VmmReport parse_ipi_defer(const nlohmann::json& answer);

}  // namespace ipidefer::lab
