// SPDX-License-Identifier: GPL-2.0-or-later
// Where the VMM meets libipidefer: policy, the CPUID leaves and the MSR of the
// contract (docs/ABI.md), and the question what becomes of one IPI.
//
// Locking is the caller's, as ipidefer.h has it: write_register() and
// end_registration() alone, decide() and tick() with any number of their like
// (router.hpp).
#pragma once

#include <ipidefer/ipidefer.h>

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "vmm/kvm/src/memory.hpp"
#include "vmm/kvm/src/segment.hpp"
#include "vmm/terms/policy.hpp"
#include "vmm/terms/verdict_counts.hpp"

namespace ipidefer::vmm {

struct CpuidLeaf {
    std::uint32_t function, eax, ebx, ecx, edx;
};

class Interceptor {
  public:
    /// @param policy  what differs from what a VM starts with
    /// @param trace   trace from the start; needs a segment
    /// @param segment by which host tools see and steer it; or none
    Interceptor(const terms::PolicyChange& policy, bool trace, unsigned vcpus,
                const GuestMemory& memory,
                const std::optional<SegmentConfig>& segment = std::nullopt);

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
    [[nodiscard]] bool decide(unsigned sender, unsigned target,
                              std::uint8_t vector) noexcept;

    /// Does somebody want to know of each ICR write? Cheap.
    [[nodiscard]] bool tracing() const noexcept
    {
        return ipidefer_tracing(vm_.get(), IPIDEFER_TRACE_SEND);
    }
    /// @param targets a bit for each vCPU
    void trace_send(unsigned sender, const ipidefer_icr& icr,
                    std::span<const std::uint64_t> targets) noexcept
    {
        ipidefer_trace_send(vm_.get(), sender, &icr, targets.data());
    }

    [[nodiscard]] bool has_segment() const noexcept
    {
        return vm_.shm() != nullptr;
    }
    /// Has work delivered that has waited too long, and renews what tools see.
    /// @return nanoseconds after which to call again
    std::uint64_t tick(ipidefer_deliver* deliver, void* opaque);
    void tell_guest_tsc_offset(std::int64_t offset) noexcept
    {
        ipidefer_shm_set_guest_tsc_offset(vm_.shm(), offset);
    }

    [[nodiscard]] terms::VerdictCounts counts(unsigned vcpu,
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
    bool refuse(const ipidefer_fault& fault);

    const GuestMemory& memory_;
    CoreVm vm_;
    unsigned ticks_ = 0;
    std::vector<std::uint64_t> registers_;
    std::uint64_t accepted_ = 0;
    std::uint64_t refused_ = 0;
    std::string refusal_;
};

}  // namespace ipidefer::vmm
