// SPDX-License-Identifier: GPL-2.0-or-later
// Status: one VM at one moment, as every tool shows it.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "host/segment/open.hpp"
#include "host/segment/segment.hpp"
#include "vmm/terms/policy.hpp"
#include "vmm/terms/verdict_counts.hpp"

namespace ipidefer::segment {

struct VcpuStatus {
    std::uint32_t vcpu = 0;
    bool isolated = false;
    bool bound = false;
    std::map<std::uint8_t, terms::VerdictCounts>
        by_vector;  // that were ever counted
    /// Age of the longest waiting work; nothing when none waits, or the TSC's
    /// frequency is not known.
    std::optional<std::chrono::nanoseconds> oldest_pending;
    std::string context;  // as last seen; "unknown" without a word

    [[nodiscard]] terms::VerdictCounts total() const;
};

struct VmStatus {
    std::string name;  // OpenVm::label()
    std::string id;
    uid_t owner = 0;
    std::string producer;
    std::uint64_t pid = 0;
    Life life = Life::kUnknown;
    terms::Policy policy;
    std::vector<VcpuStatus> vcpus;
    std::map<std::uint8_t, terms::VerdictCounts>
        out_of_range;  // targets that do not exist
    std::uint64_t trace_dropped = 0;

    [[nodiscard]] terms::VerdictCounts total() const;
    [[nodiscard]] std::optional<std::chrono::nanoseconds> oldest_pending()
        const;
};

/// How long work has waited, for people: "1.5ms"; "-" where none waits.
[[nodiscard]] std::string age_text(
    const std::optional<std::chrono::nanoseconds>& age);

/// The policy in force.
[[nodiscard]] inline terms::Policy read_policy(const Segment& segment)
{
    return terms::read_policy(segment.policy(), segment.vcpus());
}

/// @param now the TSC
/// Throws Failure when the segment changes all the time or is truncated.
[[nodiscard]] VmStatus read_status(const OpenVm& vm, std::uint64_t now);

/// The host's TSC, now.
[[nodiscard]] std::uint64_t read_tsc() noexcept;

}  // namespace ipidefer::segment
