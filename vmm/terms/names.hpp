// SPDX-License-Identifier: GPL-2.0-or-later
// Names of what the core and its trace have numbers for.
#pragma once

#include <cstdint>
#include <string_view>

namespace ipidefer::terms {

/// As events and metrics have them: what became of an IPI, and why.
struct VerdictWords {
    std::string_view verdict;  // deferred, coalesced, delivered, passed
    std::string_view reason;   // of delivered: in-kernel, policy, ...; else ""
};

/// @param number enum ipidefer_verdict, or IPIDEFER_TRACE_MAX_AGE; "?" for
///               anything else
[[nodiscard]] VerdictWords verdict_words(unsigned number) noexcept;

/// @param number enum ipidefer_trace_context; "?" for anything else
[[nodiscard]] std::string_view context_name(unsigned number) noexcept;

/// @param number enum ipidefer_delivery; "?" for anything else
[[nodiscard]] std::string_view delivery_name(unsigned number) noexcept;

/// @param number enum ipidefer_shorthand; "?" for anything else
[[nodiscard]] std::string_view shorthand_name(unsigned number) noexcept;

}  // namespace ipidefer::terms
