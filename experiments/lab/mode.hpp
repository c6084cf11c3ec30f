// SPDX-License-Identifier: GPL-2.0-or-later
// Who decides whether an IPI is deferred: the guest's ipi_defer= parameter; and
// where that is the hypervisor, which part of it.
#pragma once

#include <array>
#include <optional>
#include <string_view>

namespace ipidefer::lab {

enum class Mode { kOff, kGuest, kHv, kKvm };

inline constexpr std::array kModes{Mode::kOff, Mode::kGuest, Mode::kHv,
                                   Mode::kKvm};

[[nodiscard]] constexpr std::string_view name(Mode mode) noexcept
{
    switch (mode) {
        case Mode::kOff:
            return "off";
        case Mode::kGuest:
            return "guest";
        case Mode::kHv:
            return "hv";
        case Mode::kKvm:
            return "kvm";
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

/// What the guest is told, and says of itself: it cannot tell who it is.
[[nodiscard]] constexpr Mode in_the_guest(Mode mode) noexcept
{
    return mode == Mode::kKvm ? Mode::kHv : mode;
}

}  // namespace ipidefer::lab
