// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/terms/verdict_counts.hpp"

#include <algorithm>

namespace ipidefer::terms {

VerdictCounts::VerdictCounts(const ipidefer_counters& counters,
                             std::uint64_t expired)
    : max_age{expired}
{
    std::ranges::copy(counters.verdict, count_.begin());
}

std::uint64_t VerdictCounts::recorded() const noexcept
{
    return count_[IPIDEFER_DEFERRED] + count_[IPIDEFER_COALESCED];
}

std::uint64_t VerdictCounts::delivered() const noexcept
{
    std::uint64_t sum = 0;
    for (const ipidefer_verdict verdict : kCountedVerdicts)
        if (!ipidefer_suppresses(verdict)) sum += count_[verdict];
    return sum;
}

VerdictCounts& VerdictCounts::operator+=(const VerdictCounts& other) noexcept
{
    for (std::size_t i = 0; i < count_.size(); ++i)
        count_[i] += other.count_[i];
    max_age += other.max_age;
    return *this;
}

VerdictCounts& VerdictCounts::operator-=(const VerdictCounts& other) noexcept
{
    for (std::size_t i = 0; i < count_.size(); ++i)
        count_[i] -= std::min(count_[i], other.count_[i]);
    max_age -= std::min(max_age, other.max_age);
    return *this;
}

}  // namespace ipidefer::terms
