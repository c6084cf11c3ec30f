// SPDX-License-Identifier: GPL-2.0-or-later
// What CPUID tells the guest: what this host's KVM supports, this vCPU's place
// among its like, and the contract's leaves (docs/ABI.md).
#pragma once

#include <linux/kvm.h>

#include <cstdint>
#include <vector>

namespace ipidefer::vmm {

/// `apic_id` is also the vCPU's number.
[[nodiscard]] std::vector<kvm_cpuid_entry2> guest_cpuid(
    std::vector<kvm_cpuid_entry2> supported, std::uint32_t apic_id,
    unsigned vcpus);

}  // namespace ipidefer::vmm
