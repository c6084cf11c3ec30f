// SPDX-License-Identifier: GPL-2.0-or-later
// Context word: record one unit of work in a guest's word, or say why not.
//
// The layout belongs to the guest; a binding (vmm/abi/ipi_defer.h) names the
// bits to look at and the one bit to set.
//
// Not handled: which word, whether the target is isolated, counting (vm.hpp).
#ifndef IPIDEFER_CONTEXT_WORD_HPP
#define IPIDEFER_CONTEXT_WORD_HPP

#include <ipidefer/ipidefer.h>

#include <atomic>
#include <cstdint>

namespace ipidefer {

/// Most attempts of one decision: the guest may rewrite its word forever, on
/// purpose (I4, I7).
inline constexpr int kMaxTries = 16;

static_assert(std::atomic_ref<std::uint32_t>::is_always_lock_free);
static_assert(std::atomic_ref<std::uint32_t>::required_alignment == 4);

/// I8: the binding's gate, not the state field, says whether work may wait.
[[nodiscard]] constexpr bool accepts(const ipi_defer_binding& b,
                                     std::uint32_t word) noexcept
{
    return (word & b.accept_mask) == b.accept_value;
}

/// The contexts that policy must allow for this word: one of them, or all
/// when the state is unknown (I4).
[[nodiscard]] constexpr std::uint32_t contexts_of(const ipi_defer_binding& b,
                                                  std::uint32_t word) noexcept
{
    if (b.state_mask == 0) return IPIDEFER_CONTEXTS_ALL;
    const std::uint32_t state = (word & b.state_mask) >> b.state_shift;
    if (state == b.state_user) return IPIDEFER_CONTEXT_USER;
    if (state == b.state_guest) return IPIDEFER_CONTEXT_GUEST;
    if (state == b.state_idle) return IPIDEFER_CONTEXT_IDLE;
    return IPIDEFER_CONTEXTS_ALL;
}

/// I1: DEFERRED or COALESCED => the target's next kernel entry sees the work
/// bit and everything the sender stored before its IPI; any other verdict =>
/// the word was not written.
/// I2: the only write is a CAS from an accepting value to the same value with
/// the work bit.
///
/// Runs on the sender's vCPU thread, after the guest's own stores.
///
/// @param contexts what policy allows, OR of ipidefer_context
/// @param seen     the value that the verdict is about, before the bit is set
/// @tparam Ref std::atomic_ref, or a test's scripted stand-in
template <template <class> class Ref = std::atomic_ref>
[[nodiscard, gnu::always_inline]] inline ipidefer_verdict record(
    std::uint32_t& word, const ipi_defer_binding& b, std::uint32_t contexts,
    std::uint32_t& seen) noexcept
{
    const Ref<std::uint32_t> ref{word};
    const std::uint32_t bit = b.work_bit;
    // Ordering: RELAXED: `seen` only feeds the CAS, which fails when it is
    //   stale. Stale the other way, "not accepting", delivers (I4).
    seen = ref.load(std::memory_order_relaxed);
    for (int tries = 0; tries < kMaxTries; ++tries) {
        if (!accepts(b, seen)) return IPIDEFER_DELIVERED_IN_KERNEL;
        if ((contexts_of(b, seen) & ~contexts) != 0)
            return IPIDEFER_DELIVERED_POLICY;
        // I6: also when the bit is set already: this RMW, not the bit, is
        // what orders our sender's stores before the target's flush.
        // Ordering: RELEASE publishes the sender's stores; pairs with the
        //   fully ordered atomic by which the guest enters the kernel
        //   (guest-patches, ct_kernel_enter_state). Earlier senders' releases
        //   stay visible, since every RMW continues the release sequence.
        //   RELAXED on failure: `seen` only feeds the next try.
        if (ref.compare_exchange_weak(seen, seen | bit,
                                      std::memory_order_release,
                                      std::memory_order_relaxed))
            return (seen & bit) != 0 ? IPIDEFER_COALESCED : IPIDEFER_DEFERRED;
    }
    return IPIDEFER_DELIVERED_CONTENDED;
}

/// The same, for who does not ask what was seen.
template <template <class> class Ref = std::atomic_ref>
[[nodiscard]] ipidefer_verdict record(std::uint32_t& word,
                                      const ipi_defer_binding& b,
                                      std::uint32_t contexts) noexcept
{
    std::uint32_t seen;
    return record<Ref>(word, b, contexts, seen);
}

}  // namespace ipidefer

#endif  // IPIDEFER_CONTEXT_WORD_HPP
