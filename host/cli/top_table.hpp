// SPDX-License-Identifier: GPL-2.0-or-later
// Top's table: what happened between two looks, one line for each vCPU.
#pragma once

#include <chrono>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "host/segment/status.hpp"

namespace ipidefer::cli {

class TopTable final {
  public:
    /// @param took time between the two, more than 0
    TopTable(const std::vector<segment::VmStatus>& before,
             const std::vector<segment::VmStatus>& now,
             std::chrono::nanoseconds took);

    /// A head, then vCPUs with most IPIs per second first.
    [[nodiscard]] std::vector<std::string> lines(bool isolated_only) const;
    [[nodiscard]] nlohmann::ordered_json json(bool isolated_only) const;

  private:
    struct Row {
        std::string vm;
        std::uint32_t vcpu;
        bool isolated;
        std::string context;
        std::optional<std::chrono::nanoseconds> oldest;
        double sent;  // all of these per second
        double deferred;
        double coalesced;
        double delivered;
        double max_age;
    };
    std::vector<Row> rows_;
};

}  // namespace ipidefer::cli
