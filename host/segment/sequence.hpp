// SPDX-License-Identifier: GPL-2.0-or-later
// Sequence: reading what a writer marks with a number before and after.
#pragma once

#include <cstdint>

namespace ipidefer::segment {

/// A load that the compiler neither splits nor repeats.
/// Ordering: ACQUIRE, pairs with the writers' releases (vmm/core live_view.hpp,
///   trace_ring.cpp, vmm/shm create.cpp). On x86 a plain load.
template <class Word>
[[nodiscard]] Word load(const Word& word) noexcept
{
    return __atomic_load_n(&word, __ATOMIC_ACQUIRE);
}

/// Run `copy`, which loads what `seq` guards, after `seq` was `before`.
/// @return false: a writer came in between, and what was copied is torn
template <class Word, class Copy>
[[nodiscard]] bool copied_whole(const Word& seq, Word before, Copy copy)
{
    copy();
    // Ordering: a load of a newer field, which is a release, would show the
    //   newer seq too.
    return load(seq) == before;
}

}  // namespace ipidefer::segment
