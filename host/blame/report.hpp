// SPDX-License-Identifier: GPL-2.0-or-later
// What was found out, as a table and as JSON.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "host/blame/tally.hpp"

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
    bool as_one = false;               // the tallies are those of together()
    Tallies tallies;
};

/// The same of all vCPUs as one.
[[nodiscard]] Blame as_one(Blame blame);

/// By vCPU, the most frequent cause first; below a cause its stacks, of which
/// the most frequent ones are shown.
[[nodiscard]] std::string table(const Blame& blame);
/// What can be done about the causes that were seen, as lines to stand below
/// the table; empty without any.
[[nodiscard]] std::string remedies(const Blame& blame);
[[nodiscard]] nlohmann::ordered_json to_json(const Blame& blame);

}  // namespace ipidefer::blame
