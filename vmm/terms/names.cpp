// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/terms/names.hpp"

#include <ipidefer/ipidefer.h>

#include <array>

namespace ipidefer::terms {
namespace {

template <std::size_t Size>
std::string_view name_of(const std::array<std::string_view, Size>& names,
                         unsigned number) noexcept
{
    return number < Size ? names[number] : "?";
}

}  // namespace

VerdictWords verdict_words(unsigned number) noexcept
{
    constexpr std::string_view kDelivered = "delivered";
    if (number == IPIDEFER_TRACE_MAX_AGE) return {kDelivered, "max-age"};
    if (number >= IPIDEFER_VERDICTS) return {"?", ""};
    const std::string_view name =
        ipidefer_verdict_name(static_cast<ipidefer_verdict>(number));
    if (!name.starts_with(kDelivered)) return {name, ""};
    return {kDelivered, name.substr(kDelivered.size() + 1)};
}

std::string_view context_name(unsigned number) noexcept
{
    static constexpr std::array<std::string_view, 5> kNames{
        "unknown", "kernel", "user", "guest", "idle"};
    return name_of(kNames, number);
}

std::string_view delivery_name(unsigned number) noexcept
{
    static constexpr std::array<std::string_view, 8> kNames{
        "fixed", "lowest", "smi", "reserved", "nmi", "init", "sipi", "extint"};
    return name_of(kNames, number);
}

std::string_view shorthand_name(unsigned number) noexcept
{
    static constexpr std::array<std::string_view, 4> kNames{
        "none", "self", "all", "all-but-self"};
    return name_of(kNames, number);
}

}  // namespace ipidefer::terms
