// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/kvm/src/cpuid.hpp"

#include <algorithm>
#include <bit>

#include "vmm/kvm/src/interceptor.hpp"

namespace ipidefer::vmm {
namespace {

constexpr std::uint32_t kFeatures = 1;
constexpr std::uint32_t kTopology = 0xb;
constexpr std::uint32_t kTopologyV2 = 0x1f;
constexpr std::uint32_t kExtendedApicId = 0x8000'001e;  // AMD
constexpr std::uint32_t kX2apic = 1u << 21;             // leaf 1 ECX
constexpr std::uint32_t kTscDeadline = 1u << 24;        // leaf 1 ECX
constexpr std::uint32_t kHypervisor = 1u << 31;         // leaf 1 ECX
constexpr std::uint32_t kApic = 1u << 9;                // leaf 1 EDX
constexpr std::uint32_t kManyThreads = 1u << 28;        // leaf 1 EDX
constexpr std::uint32_t kLevelCore = 2;

void set_topology(kvm_cpuid_entry2& entry, std::uint32_t apic_id,
                  unsigned vcpus)
{
    // Every vCPU is a core with one thread, all in one package.
    entry.edx = apic_id;
    entry.ecx = entry.index;
    entry.eax = entry.ebx = 0;
    if (entry.index == 0) {
        entry.ebx = 1;
        entry.ecx |= 1u << 8;  // level: thread
    } else if (entry.index == 1) {
        entry.eax = static_cast<std::uint32_t>(std::bit_width(vcpus - 1));
        entry.ebx = vcpus;
        entry.ecx |= kLevelCore << 8;
    }
}

}  // namespace

std::vector<kvm_cpuid_entry2> guest_cpuid(
    std::vector<kvm_cpuid_entry2> supported, std::uint32_t apic_id,
    unsigned vcpus)
{
    const auto ours = Interceptor::cpuid();
    std::erase_if(supported, [&](const kvm_cpuid_entry2& entry) {
        return std::ranges::any_of(ours, [&](const CpuidLeaf& leaf) {
            return leaf.function == entry.function;
        });
    });
    for (auto& entry : supported) {
        switch (entry.function) {
            case kFeatures:
                entry.ebx = (entry.ebx & 0x0000'ffff) |
                            std::min(vcpus, 255u) << 16 |
                            (apic_id & 0xff) << 24;
                entry.ecx |= kX2apic | kHypervisor;
                entry.ecx &= ~kTscDeadline;
                entry.edx |= kApic | (vcpus > 1 ? kManyThreads : 0);
                break;
            case kTopology:
            case kTopologyV2:
                set_topology(entry, apic_id, vcpus);
                break;
            case kExtendedApicId:
                entry.eax = apic_id;
                entry.ebx = apic_id;
                entry.ecx = 0;
                break;
            default:
                break;
        }
    }
    for (const CpuidLeaf& leaf : ours) {
        kvm_cpuid_entry2 entry{};
        entry.function = leaf.function;
        entry.eax = leaf.eax;
        entry.ebx = leaf.ebx;
        entry.ecx = leaf.ecx;
        entry.edx = leaf.edx;
        supported.push_back(entry);
    }
    return supported;
}

}  // namespace ipidefer::vmm
