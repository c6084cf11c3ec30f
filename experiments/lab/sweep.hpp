// SPDX-License-Identifier: GPL-2.0-or-later
// Sweep: the same experiment with other machines, kernels or policies, one for
// each combination of values: `--sweep cpus=4,8 --sweep pti=on,off` makes four.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "experiments/lab/options.hpp"

namespace ipidefer::lab {

/// The most combinations.
inline constexpr std::size_t kMostPoints = 256;

struct Factor {
    std::string name;
    std::vector<std::string> values;

    bool operator==(const Factor&) const = default;
};

/// "cpus=4,8", or where values have commas "isolated=2-3|2,3": what is between
/// bars then is a value, an empty one too. Throws a Failure that names what is
/// wrong.
[[nodiscard]] Factor parse_factor(const std::string& text);

/// All combinations, the last factor changing first; one that is empty if there
/// are no factors. Throws a Failure for more than kMostPoints, and for a factor
/// that is there twice.
[[nodiscard]] std::vector<Factors> points_of(
    const std::vector<Factor>& factors);

/// What was asked for with the values of a point in place of what it has.
[[nodiscard]] RawOptions at_point(RawOptions raw, const Factors& point);

/// Options for each point of the sweep, all of them checked; what they differ
/// in is what is swept only. Throws a Failure.
[[nodiscard]] std::vector<Options> check_sweep(
    const RawOptions& raw, const std::filesystem::path& guest_programs);

}  // namespace ipidefer::lab
