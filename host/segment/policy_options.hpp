// SPDX-License-Identifier: GPL-2.0-or-later
// Policy options: a policy as people write it, on a command line or in a
// configuration file.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "host/segment/policy.hpp"

namespace ipidefer {

/// Empty: leave it as it is.
struct RawPolicy {
    std::string isolated;  // CPU list, or "none"
    std::string user;      // on, off
    std::string guest;
    std::string idle;
    std::vector<std::string> vectors;  // sync_core=off
    std::string max_age;
    bool on = false;
    bool off = false;

    [[nodiscard]] bool empty() const noexcept;
};

/// @param vcpus of the VM
/// Throws Failure, naming the option and what is wrong.
[[nodiscard]] segment::PolicyChange check_policy(const RawPolicy& raw,
                                                 std::uint32_t vcpus);

/// One "field value" on each line.
[[nodiscard]] std::string to_text(const segment::Policy& policy);

}  // namespace ipidefer
