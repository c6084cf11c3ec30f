// SPDX-License-Identifier: GPL-2.0-or-later
// Where the VMM meets libipidefer: policy, the CPUID leaves and the MSR of the
// contract (docs/ABI.md), and the question what becomes of one IPI.
//
// Locking is the caller's, as ipidefer.h has it: write_register() and
// end_registration() alone, decide() with any number of its like (router.hpp).
#pragma once

#include <ipidefer/ipidefer.h>

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "memory.hpp"

namespace ipidefer::vmm {

/// What the operator allows; see ipidefer.h.
struct Policy {
    bool enabled = true;
    std::vector<unsigned> isolated;  // vCPUs
    std::vector<unsigned> vectors;   // those that may be recorded
    bool user = true;
    bool guest = true;
    bool idle = false;
};

struct CpuidLeaf {
    std::uint32_t function, eax, ebx, ecx, edx;
};

class Interceptor {
  public:
    Interceptor(const Policy& policy, unsigned vcpus,
                const GuestMemory& memory);

    /// Leaves that the guest finds the contract by; this VMM sees the ICR.
    [[nodiscard]] static std::array<CpuidLeaf, IPI_DEFER_CPUID_LEAVES> cpuid();

    /// IPI_DEFER_MSR_REGISTER of a vCPU.
    [[nodiscard]] std::uint64_t read_register(unsigned vcpu) const
    {
        return registers_[vcpu];
    }
    /// False: #GP, and nothing changed; refusal() says why.
    [[nodiscard]] bool write_register(unsigned vcpu, std::uint64_t value);
    /// INIT and reset of the vCPU.
    void end_registration(unsigned vcpu);

    /// Is `vector` bound anywhere? Cheap.
    [[nodiscard]] bool typed(std::uint8_t vector) const noexcept
    {
        return ipidefer_typed(vm_.get(), vector);
    }
    /// Decides and counts one deferrable IPI to one vCPU (I1).
    /// @return whether it has been recorded, and must not be delivered
    [[nodiscard]] bool decide(unsigned target, std::uint8_t vector) noexcept;

    [[nodiscard]] ipidefer_counters counters(unsigned vcpu,
                                             std::uint8_t vector) const;
    [[nodiscard]] bool isolated(unsigned vcpu) const
    {
        return ipidefer_isolated(vm_.get(), vcpu);
    }
    /// Registrations that were accepted, and refused; the last refusal.
    [[nodiscard]] std::uint64_t accepted() const noexcept { return accepted_; }
    [[nodiscard]] std::uint64_t refused() const noexcept { return refused_; }
    [[nodiscard]] const std::string& refusal() const noexcept
    {
        return refusal_;
    }

  private:
    struct Destroy {
        void operator()(ipidefer_vm* vm) const noexcept
        {
            ipidefer_vm_destroy(vm);
        }
    };
    bool refuse(const ipidefer_fault& fault);

    const GuestMemory& memory_;
    std::unique_ptr<ipidefer_vm, Destroy> vm_;
    std::vector<std::uint64_t> registers_;
    std::uint64_t accepted_ = 0;
    std::uint64_t refused_ = 0;
    std::string refusal_;
    std::uint32_t stray_word_ = 0;  // only ever used by a mutation
};

}  // namespace ipidefer::vmm
