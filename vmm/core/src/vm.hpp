// SPDX-License-Identifier: GPL-2.0-or-later
// VM: the bindings of all vCPUs, and the decision for one IPI to one of them.
//
// Locking: as ipidefer.h says. decide() and tick() read bindings without a
// lock, and the caller keeps bind(), unbind() and lose_word() of the same
// targets away.
#ifndef IPIDEFER_VM_HPP
#define IPIDEFER_VM_HPP

#include <ipidefer/ipidefer.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "vmm/core/src/counters.hpp"
#include "vmm/core/src/live_view.hpp"
#include "vmm/core/src/pending_since.hpp"
#include "vmm/core/src/policy.hpp"
#include "vmm/core/src/segment_layout.hpp"
#include "vmm/core/src/trace_leases.hpp"
#include "vmm/core/src/trace_ring.hpp"
#include "vmm/core/src/typed_vectors.hpp"

namespace ipidefer {

class Vm final {
  public:
    /// Allocates; `allocated()` says whether that worked.
    /// @param memory with its header written; stays the caller's
    Vm(const SegmentLayout& layout, std::byte* memory) noexcept;
    ~Vm();
    Vm(const Vm&) = delete;
    Vm& operator=(const Vm&) = delete;

    [[nodiscard]] bool allocated() const noexcept { return vcpus_ != nullptr; }
    [[nodiscard]] std::uint32_t vcpus() const noexcept { return count_; }
    [[nodiscard]] Policy& policy() noexcept { return policy_; }
    [[nodiscard]] const Policy& policy() const noexcept { return policy_; }

    [[nodiscard]] ipidefer_error set_isolated(std::uint32_t vcpu,
                                              bool isolated) noexcept;
    [[nodiscard]] bool isolated(std::uint32_t vcpu) const noexcept;
    void set_tsc_hz(std::uint64_t hz) noexcept;

    [[nodiscard]] ipidefer_error bind(std::uint32_t vcpu,
                                      const ipi_defer_binding* bindings,
                                      std::uint32_t* const* words,
                                      std::uint32_t count,
                                      ipidefer_fault* fault) noexcept;
    void unbind(std::uint32_t vcpu) noexcept;
    void lose_word(std::uint32_t vcpu, std::uint32_t slot) noexcept;
    std::uint32_t bindings(std::uint32_t vcpu,
                           ipi_defer_binding* out) const noexcept;

    /// I1: exactly one verdict, counted exactly once unless PASSED.
    [[nodiscard]] ipidefer_verdict decide(std::uint32_t sender,
                                          std::uint32_t target,
                                          std::uint8_t vector) noexcept;

    /// The same, for a word that must not be looked at now.
    [[nodiscard]] ipidefer_verdict decide_blind(std::uint32_t sender,
                                                std::uint32_t target,
                                                std::uint8_t vector) noexcept;

    /// By index of counters; 0: none.
    void typed_vectors(
        std::span<std::uint8_t, IPIDEFER_SEGMENT_TYPED> out) const noexcept;

    /// Whoever decides in our place has newly set a work bit.
    void recorded(std::uint32_t vcpu, std::uint32_t slot,
                  std::uint64_t since) noexcept;

    /// @return nanoseconds until the next call
    std::uint64_t tick(std::uint64_t now, ipidefer_deliver* deliver,
                       void* opaque) noexcept;

    void trace_send(std::uint32_t sender, const ipidefer_icr& icr,
                    const std::uint64_t* targets) noexcept;

    [[nodiscard]] bool counters(std::uint32_t vcpu, std::uint8_t vector,
                                ipidefer_counters& out) const noexcept;
    [[nodiscard]] std::uint64_t expired(std::uint32_t vcpu,
                                        std::uint8_t vector) const noexcept;
    void count_merged(std::uint32_t vcpu, std::uint8_t vector) noexcept;
    [[nodiscard]] std::uint64_t merged(std::uint32_t vcpu,
                                       std::uint8_t vector) const noexcept;

  private:
    struct Slot {
        ipi_defer_binding binding;
        std::uint32_t* word;              // nullptr: lost
        ipidefer_segment_counters* line;  // of this vCPU and vector
        PendingSince pending;
    };

    /// Aligned so that a first binding shares its vCPU's first cache line.
    struct alignas(64) Vcpu {
        std::uint8_t count;
        std::uint32_t view_seq;
        std::array<Slot, IPI_DEFER_MAX_BINDINGS> slots;

        [[nodiscard]] Slot* find(std::uint8_t vector) noexcept
        {
            for (Slot& slot : std::span{slots}.first(count))
                if (slot.binding.vector == vector) return &slot;
            return nullptr;
        }
        [[nodiscard]] std::uint32_t index_of(const Slot* slot) const noexcept
        {
            return static_cast<std::uint32_t>(slot - slots.data());
        }
    };

    /// Targets out of range share one more row, which nothing is bound to.
    [[nodiscard]] std::uint32_t row(std::uint32_t vcpu) const noexcept
    {
        return std::min(vcpu, count_);
    }
    [[nodiscard]] bool traces_verdicts() const noexcept
    {
        return (policy_.trace() & IPIDEFER_TRACE_VERDICT) != 0;
    }
    /// @return why it must be delivered; PASSED: it may be recorded
    [[nodiscard]] ipidefer_verdict obstacle(std::uint32_t target,
                                            const Slot& slot,
                                            std::uint8_t vector) const noexcept;
    // Out of line, so that most decisions stay short.
    [[nodiscard, gnu::noinline]] ipidefer_verdict decide_watched(
        std::uint32_t sender, std::uint32_t target,
        std::uint8_t vector) noexcept;
    [[nodiscard, gnu::noinline]] ipidefer_verdict decide_unbound(
        std::uint32_t sender, std::uint32_t target,
        std::uint8_t vector) noexcept;
    [[gnu::noinline]] void start_age(std::uint32_t target, Slot* slot) noexcept;
    [[gnu::noinline]] void trace_verdict(std::uint32_t sender,
                                         std::uint32_t target,
                                         std::uint8_t vector,
                                         ipidefer_verdict verdict,
                                         const Slot* slot,
                                         std::uint32_t word) noexcept;
    [[nodiscard]] bool overdue(std::uint64_t ticks,
                               std::uint64_t limit_ns) const noexcept;
    void trace_max_age(std::uint32_t target, const Slot& slot,
                       std::uint32_t word) noexcept;
    void give_index(std::uint8_t vector) noexcept;
    void drop_all(const Vcpu& vcpu) noexcept;

    TypedVectors typed_;  // first: its gate is the handle's first bytes
    Policy policy_;
    std::uint32_t count_;
    std::atomic<std::uint64_t> tsc_hz_{0};
    std::byte* memory_;
    Vcpu* vcpus_;
    Counters counters_;
    LiveView view_;
    TraceRing ring_;
    TraceLeases leases_;
};

}  // namespace ipidefer

#endif  // IPIDEFER_VM_HPP
