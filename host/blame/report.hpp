// SPDX-License-Identifier: GPL-2.0-or-later
// What was found out, as a table and as JSON.
#pragma once

#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "host/blame/attribution.hpp"

namespace ipidefer::blame {

/// A run, whatever ended it.
struct Blame {
    int pid = 0;
    double seconds = 0;
    std::uint64_t events = 0;
    /// Events that the kernel could not keep: counts are too small then.
    std::uint64_t lost = 0;
    /// vCPUs whose last exit has no entry yet, and exits that have none as
    /// their entries were lost; both are in no tally.
    std::set<unsigned> open;
    std::uint64_t unseen = 0;
    /// CPU time of this program, in seconds.
    double cost_seconds = 0;
    std::vector<std::string> missing;  // events that the kernel does not have
    Attribution::Tallies tallies;
};

/// By vCPU, the most frequent cause first.
[[nodiscard]] std::string table(const Blame& blame);
[[nodiscard]] nlohmann::ordered_json to_json(const Blame& blame);

}  // namespace ipidefer::blame
