// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/core/src/typed_vectors.hpp"

#include <algorithm>

namespace ipidefer {

namespace {

bool names(std::span<const ipi_defer_binding> bindings,
           std::uint8_t vector) noexcept
{
    return std::ranges::any_of(bindings, [vector](const ipi_defer_binding& b) {
        return b.vector == vector;
    });
}

}  // namespace

unsigned TypedVectors::bound_after(
    std::span<const ipi_defer_binding> now,
    std::span<const ipi_defer_binding> before) const noexcept
{
    unsigned bound = 0;
    for (unsigned i = 0; i < used_; ++i) {
        const std::uint8_t vector = vector_[i];
        const unsigned others =
            vcpus_[vector] - (names(before, vector) ? 1u : 0u);
        if (others != 0 && !names(now, vector)) ++bound;
    }
    return bound + static_cast<unsigned>(now.size());
}

TypedVectors::Index TypedVectors::reserve(std::uint8_t vector) noexcept
{
    Index index{used_, false};
    if (used_ < IPIDEFER_MAX_TYPED) {
        ++used_;
    } else {
        index = {IPIDEFER_MAX_TYPED, true};
        for (unsigned i = 0; i < IPIDEFER_MAX_TYPED; ++i)
            if (vcpus_[vector_[i]] == 0 &&
                (index.number == IPIDEFER_MAX_TYPED ||
                 dropped_[i] < dropped_[index.number]))
                index.number = i;
        // Ordering: RELAXED: a sender that knows it still finds the gate of its
        //   vector closed, or counts one IPI for the index's new vector: an IPI
        //   of a vector that the guest has just unbound everywhere.
        number_[vector_[index.number]].store(0, std::memory_order_relaxed);
    }
    vector_[index.number] = vector;
    // Ordering: RELEASE pairs with the acquire in known().
    number_[vector].store(static_cast<std::uint8_t>(index.number + 1),
                          std::memory_order_release);
    return index;
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
    dropped_[*known(vector)] = ++drops_;
    // Ordering: RELAXED: a sender that still sees the bit finds no binding
    //   (I4); nothing is published.
    gate_.typed[vector / kBits].fetch_and(~(std::uint64_t{1} << vector % kBits),
                                          std::memory_order_relaxed);
}

}  // namespace ipidefer
