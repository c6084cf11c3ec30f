// SPDX-License-Identifier: GPL-2.0-or-later
// Live view: the bound words of every vCPU, published for others to look at.
// Written only; nothing here is ever read back (I7).
//
// Not handled: two writers of one vCPU's bindings at once; the caller of
// ipidefer_bind() serialises. seen() and pending() run at any time.
#ifndef IPIDEFER_LIVE_VIEW_HPP
#define IPIDEFER_LIVE_VIEW_HPP

#include <ipidefer/ipidefer.h>

#include <atomic>
#include <cstdint>
#include <span>

namespace ipidefer {

class LiveView final {
  public:
    /// @param vcpus one view for each vCPU, zeroed
    explicit LiveView(ipidefer_segment_view* vcpus) noexcept : vcpus_{vcpus} {}

    /// Replace a vCPU's bindings.
    /// @param seq counts a vCPU's changes; kept by the caller, privately
    void bind(std::uint32_t vcpu, std::uint32_t& seq,
              std::span<const ipi_defer_binding> bindings) noexcept;
    void lose(std::uint32_t vcpu, std::uint32_t& seq,
              std::uint32_t slot) noexcept;

    void seen(std::uint32_t vcpu, std::uint32_t slot, std::uint32_t word,
              std::uint64_t now) noexcept
    {
        ipidefer_segment_slot& at = vcpus_[vcpu].slot[slot];
        store(at.word, word);
        store(at.seen, now);
    }

    /// @param since TSC, 0: nothing is pending
    void pending(std::uint32_t vcpu, std::uint32_t slot,
                 std::uint64_t since) noexcept
    {
        store(vcpus_[vcpu].slot[slot].pending_since, since);
    }

  private:
    template <class Word>
    static void store(Word& word, Word value) noexcept
    {
        // Ordering: RELEASE: after the odd seq of a Change, if there is one;
        //   pairs with the acquire loads of the readers, which then see that
        //   seq (host/segment/segment.cpp). On x86 a plain store.
        std::atomic_ref{word}.store(value, std::memory_order_release);
    }

    class Change;

    ipidefer_segment_view* vcpus_;
};

}  // namespace ipidefer

#endif  // IPIDEFER_LIVE_VIEW_HPP
