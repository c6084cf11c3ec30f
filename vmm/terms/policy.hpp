// SPDX-License-Identifier: GPL-2.0-or-later
// Policy: what the operator allows a VM, read from its words and changed in
// them, in the VM's segment or its VMM. A change takes effect with the VM's
// next decision; nobody is asked.
#pragma once

#include <ipidefer/segment.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/cpulist.hpp"

namespace ipidefer::terms {

struct Policy {
    bool enabled = false;
    bool user = false;
    bool guest = false;
    bool idle = false;
    CpuSet isolated;
    std::set<std::uint8_t> denied;        // vectors
    std::chrono::nanoseconds max_age{0};  // 0: no limit
    std::uint32_t trace = 0;  // what is traced now: OR of ipidefer_trace_kind
    bool operator==(const Policy&) const = default;
};

/// Each word at some moment of its own: a policy has no moment as a whole.
/// @param vcpus of the VM
[[nodiscard]] Policy read_policy(const ipidefer_segment_policy& words,
                                 std::uint32_t vcpus);

/// What is not there stays as it is.
struct PolicyChange {
    std::optional<bool> enabled{};
    std::optional<bool> user{};
    std::optional<bool> guest{};
    std::optional<bool> idle{};
    std::optional<CpuSet> isolated{};
    std::map<std::uint8_t, bool> vectors{};  // allowed or not
    std::optional<std::chrono::nanoseconds> max_age{};

    [[nodiscard]] bool empty() const noexcept;
};

/// @param vcpus of the VM; isolated CPUs are below it
void apply(const PolicyChange& change, ipidefer_segment_policy& words,
           std::uint32_t vcpus);

/// "none" for 0, which is no limit.
[[nodiscard]] std::string age_or_none(std::chrono::nanoseconds age);

/// What differs, one "isolated 2-3 -> 2-5" for each field, for logs.
[[nodiscard]] std::vector<std::string> differences(const Policy& before,
                                                   const Policy& after);

}  // namespace ipidefer::terms
