// SPDX-License-Identifier: GPL-2.0-or-later
// VM: the bindings of all vCPUs, and the decision for one IPI to one of them.
//
// Locking: as ipidefer.h says. decide() reads bindings without a lock, and the
// caller keeps bind(), unbind() and lose_word() of the same target away.
#ifndef IPIDEFER_VM_HPP
#define IPIDEFER_VM_HPP

#include <ipidefer/ipidefer.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>

#include "counters.hpp"
#include "policy.hpp"
#include "typed_vectors.hpp"

namespace ipidefer {

class Vm final {
  public:
    /// Allocates; `allocated()` says whether that worked.
    explicit Vm(std::uint32_t vcpus) noexcept;
    ~Vm();
    Vm(const Vm&) = delete;
    Vm& operator=(const Vm&) = delete;

    [[nodiscard]] bool allocated() const noexcept
    {
        return vcpus_ != nullptr && counters_.allocated();
    }
    [[nodiscard]] std::uint32_t vcpus() const noexcept { return count_; }
    [[nodiscard]] Policy& policy() noexcept { return policy_; }
    [[nodiscard]] const Policy& policy() const noexcept { return policy_; }

    [[nodiscard]] ipidefer_error set_isolated(std::uint32_t vcpu,
                                              bool isolated) noexcept;
    [[nodiscard]] bool isolated(std::uint32_t vcpu) const noexcept;

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
    [[nodiscard]] ipidefer_verdict decide(std::uint32_t target,
                                          std::uint8_t vector) noexcept;

    [[nodiscard]] bool counters(std::uint32_t vcpu, std::uint8_t vector,
                                ipidefer_counters& out) const noexcept;

  private:
    struct Slot {
        ipi_defer_binding binding;
        std::uint32_t* word;  // nullptr: lost
    };

    /// Aligned so that a first binding shares its vCPU's first cache line.
    struct alignas(64) Vcpu {
        std::atomic<bool> isolated;
        std::uint8_t count;
        std::array<Slot, IPI_DEFER_MAX_BINDINGS> slots;

        [[nodiscard]] const Slot* find(std::uint8_t vector) const noexcept;
    };

    /// Targets out of range share one more row, which nothing is bound to.
    [[nodiscard]] std::uint32_t row(std::uint32_t vcpu) const noexcept
    {
        return std::min(vcpu, count_);
    }
    [[nodiscard]] ipidefer_verdict judge(const Vcpu& vcpu,
                                         std::uint8_t vector) const noexcept;
    void drop_all(const Vcpu& vcpu) noexcept;

    TypedVectors typed_;  // first: its gate is the handle's first bytes
    Policy policy_;
    std::uint32_t count_;
    Vcpu* vcpus_;
    Counters counters_;
};

}  // namespace ipidefer

#endif  // IPIDEFER_VM_HPP
