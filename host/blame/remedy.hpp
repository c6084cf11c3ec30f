// SPDX-License-Identifier: GPL-2.0-or-later
// Remedy: what an operator can do about a cause.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "host/blame/cause.hpp"

namespace ipidefer::blame {

struct Remedy {
    std::string_view text;
    /// Whether there is none: then the text says why.
    bool none = false;
    /// Findings of ipidefer check that look at it, by their names.
    std::span<const std::string_view> checks;
};

[[nodiscard]] const Remedy& remedy(Cause::Kind kind) noexcept;

/// The causes that a finding of ipidefer check is about, in the order of
/// tables.
[[nodiscard]] std::vector<Cause::Kind> causes_of_check(
    std::string_view finding);

}  // namespace ipidefer::blame
