// SPDX-License-Identifier: GPL-2.0-or-later
#include "typed_vectors.hpp"

#include <algorithm>

namespace ipidefer {

unsigned TypedVectors::with(
    std::span<const ipi_defer_binding> bindings) const noexcept
{
    return used_ + static_cast<unsigned>(std::ranges::count_if(
                       bindings, [this](const ipi_defer_binding& b) {
                           return !known(b.vector).has_value();
                       }));
}

void TypedVectors::reserve(std::span<const ipi_defer_binding> bindings) noexcept
{
    for (const ipi_defer_binding& b : bindings) {
        if (known(b.vector)) continue;
        // Ordering: RELEASE pairs with the acquire in known().
        number_[b.vector].store(static_cast<std::uint8_t>(++used_),
                                std::memory_order_release);
    }
}

void TypedVectors::take(std::uint8_t vector) noexcept
{
    if (vcpus_[vector]++ != 0) return;
    // Ordering: RELEASE shows the index before the bit; pairs with the acquire
    //   in bound(). ipidefer_typed() reads relaxed: it only decides whether to
    //   ask. A sender that misses a new bit sends a real IPI (I4).
    gate_.typed[vector / kBits].fetch_or(std::uint64_t{1} << vector % kBits,
                                         std::memory_order_release);
}

void TypedVectors::drop(std::uint8_t vector) noexcept
{
    if (--vcpus_[vector] != 0) return;
    // Ordering: RELAXED: a sender that still sees the bit finds no binding
    //   (I4); nothing is published.
    gate_.typed[vector / kBits].fetch_and(~(std::uint64_t{1} << vector % kBits),
                                          std::memory_order_relaxed);
}

}  // namespace ipidefer
