// SPDX-License-Identifier: GPL-2.0-or-later
// Who decides whether an IPI is deferred: the guest's ipi_defer= parameter.
#pragma once

#include <array>
#include <optional>
#include <string_view>

namespace ipidefer::lab {

enum class Mode { kOff, kGuest, kHv };

inline constexpr std::array kModes{Mode::kOff, Mode::kGuest, Mode::kHv};

[[nodiscard]] constexpr std::string_view name(Mode mode) noexcept
{
    switch (mode) {
        case Mode::kOff:
            return "off";
        case Mode::kGuest:
            return "guest";
        case Mode::kHv:
            return "hv";
    }
    return "?";
}

[[nodiscard]] constexpr std::optional<Mode> mode_of(
    std::string_view text) noexcept
{
    for (const Mode mode : kModes)
        if (name(mode) == text) return mode;
    return std::nullopt;
}

}  // namespace ipidefer::lab
