// SPDX-License-Identifier: GPL-2.0-or-later
// The kinds of typed work by the names that the guest's kernel has for them.
// A kind that is not listed here is counted and compared too; only whether
// its interrupts reached a loop is not known.
#pragma once

#include <array>
#include <optional>
#include <string_view>

namespace ipidefer::lab {

struct TypedWork {
    std::string_view name;   // in the statistics and in trace events
    std::string_view row;    // of /proc/interrupts
    bool flush_traced;       // by context_tracking:ct_work_flush
    bool deferred_in_guest;  // while a nested guest runs on the vCPU
};

inline constexpr std::array kTypedWorks{
    TypedWork{"sync_core", "DSC", true, true},
    TypedWork{"kernel_tlbi", "DTL", false, false}};

[[nodiscard]] constexpr std::optional<TypedWork> typed_work(
    std::string_view name) noexcept
{
    for (const auto& work : kTypedWorks)
        if (work.name == name) return work;
    return std::nullopt;
}

}  // namespace ipidefer::lab
