// SPDX-License-Identifier: GPL-2.0-or-later
// Verdict counts: what became of the IPIs of one vector to one target, wherever
// they were counted: in the core, in a segment, or by QEMU's query-ipi-defer.
#pragma once

#include <ipidefer/ipidefer.h>

#include <array>
#include <cstdint>
#include <string_view>

namespace ipidefer::terms {

/// The verdicts that are counted: all but PASSED.
inline constexpr auto kCountedVerdicts = [] {
    std::array<ipidefer_verdict, IPIDEFER_VERDICTS - 1> all{};
    for (unsigned v = IPIDEFER_DEFERRED; v < IPIDEFER_VERDICTS; ++v)
        all[v - 1] = static_cast<ipidefer_verdict>(v);
    return all;
}();

class VerdictCounts {
  public:
    std::uint64_t max_age = 0;  // delivered in addition, for their age

    VerdictCounts() = default;
    VerdictCounts(const ipidefer_counters& counters, std::uint64_t expired);

    [[nodiscard]] std::uint64_t& operator[](ipidefer_verdict verdict)
    {
        return count_.at(verdict);
    }
    [[nodiscard]] std::uint64_t operator[](ipidefer_verdict verdict) const
    {
        return count_.at(verdict);
    }
    /// Deferred and coalesced.
    [[nodiscard]] std::uint64_t recorded() const noexcept;
    /// Delivered, for whatever reason, less what was delivered for its age.
    [[nodiscard]] std::uint64_t delivered() const noexcept;
    /// All IPIs.
    [[nodiscard]] std::uint64_t sum() const noexcept
    {
        return recorded() + delivered();
    }

    VerdictCounts& operator+=(const VerdictCounts& other) noexcept;
    /// Counters only grow; a difference that would be negative is 0.
    VerdictCounts& operator-=(const VerdictCounts& other) noexcept;
    friend VerdictCounts operator-(VerdictCounts after,
                                   const VerdictCounts& before) noexcept
    {
        return after -= before;
    }
    bool operator==(const VerdictCounts&) const = default;

  private:
    std::array<std::uint64_t, IPIDEFER_VERDICTS> count_{};
};

}  // namespace ipidefer::terms
