// SPDX-License-Identifier: GPL-2.0-or-later
// Plan: which guests are booted, in which order. A host that gets warmer or
// busier does so for all modes alike only if they take turns, and for each of
// them at another place in its turn.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "experiments/lab/mode.hpp"
#include "experiments/report/factors.hpp"

namespace ipidefer::lab {

/// The most --repeat.
inline constexpr unsigned kMostRepetitions = 1000;
/// The greatest --seed: every reader of JSON has it exactly.
inline constexpr std::uint64_t kMostSeed = UINT32_MAX;

using report::Factors;

/// Which boot of a mode: the second arm of off, in the 5th repetition.
struct Turn {
    unsigned repetition = 1;
    /// Of off, which is booted twice in each repetition, so that it is known
    /// how far apart two are that differ in nothing; else none.
    char letter = '\0';
    /// Of a sweep, whose points are booted in each repetition.
    Factors factors{};

    bool operator==(const Turn&) const = default;
};

/// What is compared with others: a mode, or one of the two that off has.
struct Arm {
    Mode mode = Mode::kOff;
    char letter = '\0';

    bool operator==(const Arm&) const = default;
};

/// "hv", "off/A".
[[nodiscard]] std::string name(const Arm& arm);
/// The same in the name of a file: "off-A".
[[nodiscard]] std::string file_name(const Arm& arm);

/// Of so many repetitions, in the order of the modes. The two of off follow one
/// another; without repetitions there is one.
[[nodiscard]] std::vector<Arm> arms_of(const std::vector<Mode>& modes,
                                       unsigned repetitions);

/// A boot: an arm at a point of the sweep.
struct PlannedBoot {
    std::size_t point = 0;
    Arm arm;

    bool operator==(const PlannedBoot&) const = default;
};

/// All arms at all points in each repetition, in an order that the seed gives;
/// those of one repetition in the order of points and modes.
/// @param points at least 1
[[nodiscard]] std::vector<std::vector<PlannedBoot>> plan(
    const std::vector<Mode>& modes, unsigned repetitions, std::uint64_t seed,
    std::size_t points = 1);

/// What was planned.
struct Repetitions {
    std::uint64_t seed = 0;
    std::vector<Arm> arms;
    /// Of each repetition.
    std::vector<std::vector<PlannedBoot>> order;
};

}  // namespace ipidefer::lab
