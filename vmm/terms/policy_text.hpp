// SPDX-License-Identifier: GPL-2.0-or-later
// Policy text: a policy as people write it, on a command line or in a
// configuration file, and as text and JSON.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "vmm/terms/policy.hpp"

namespace ipidefer::terms {

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

/// How a refusal names what is wrong: --max-age, or max_age.
enum class Naming { kOptions, kKeys };

/// @param vcpus of the VM
/// Throws Failure, naming the option or the key, and what is wrong.
[[nodiscard]] PolicyChange check_policy(const RawPolicy& raw,
                                        std::uint32_t vcpus,
                                        Naming naming = Naming::kKeys);

/// One "field value" on each line.
[[nodiscard]] std::string to_text(const Policy& policy);
[[nodiscard]] nlohmann::ordered_json to_json(const Policy& policy);

}  // namespace ipidefer::terms
