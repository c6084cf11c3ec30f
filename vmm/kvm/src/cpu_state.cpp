// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/kvm/src/cpu_state.hpp"

#include "vmm/kvm/src/boot_info.hpp"
#include "vmm/kvm/src/local_apic.hpp"

namespace ipidefer::vmm {
namespace {

constexpr std::uint64_t kCr0ProtectionEnable = 1u << 0;
constexpr std::uint64_t kCr0ExtensionType = 1u << 4;
constexpr std::uint64_t kCr0NumericError = 1u << 5;
constexpr std::uint64_t kCr0WriteProtect = 1u << 16;
constexpr std::uint64_t kCr0Paging = 1u << 31;
constexpr std::uint64_t kCr0Caches = 3u << 29;  // off, at reset
constexpr std::uint64_t kCr4PhysicalExtension = 1u << 5;
constexpr std::uint64_t kCr4Fxsr = 3u << 9;  // SSE and its exceptions
constexpr std::uint64_t kEferLongEnable = 1u << 8;
constexpr std::uint64_t kEferLongActive = 1u << 10;
constexpr std::uint64_t kFlagsReserved = 1u << 1;
constexpr std::uint64_t kApicEnabled = kApicPageGpa | 1u << 11;

constexpr std::uint8_t kTypeCode = 0xb;  // accessed, readable
constexpr std::uint8_t kTypeData = 0x3;  // accessed, writable
constexpr std::uint8_t kTypeLdt = 0x2;
constexpr std::uint8_t kTypeBusyTss = 0xb;
constexpr std::uint32_t kMultibootLoaderMagic = 0x2bad'b002;

kvm_segment segment(std::uint16_t selector, std::uint64_t base,
                    std::uint32_t limit, std::uint8_t type)
{
    kvm_segment s{};
    s.selector = selector;
    s.base = base;
    s.limit = limit;
    s.type = type;
    s.present = 1;
    s.s = 1;
    return s;
}

kvm_segment system_segment(std::uint8_t type)
{
    kvm_segment s = segment(0, 0, 0xffff, type);
    s.s = 0;
    return s;
}

kvm_segment flat(std::uint16_t selector, std::uint8_t type, bool bits64)
{
    kvm_segment s = segment(selector, 0, 0xffff'ffff, type);
    s.g = 1;
    s.l = bits64 ? 1 : 0;
    s.db = bits64 ? 0 : 1;
    return s;
}

void set_data(kvm_sregs& s, const kvm_segment& data)
{
    s.ds = s.es = s.fs = s.gs = s.ss = data;
}

CpuState base_state()
{
    CpuState state;
    state.regs.rflags = kFlagsReserved;
    state.sregs.ldt = system_segment(kTypeLdt);
    state.sregs.tr = system_segment(kTypeBusyTss);
    state.sregs.idt.limit = 0xffff;
    state.sregs.gdt.limit = 0xffff;
    // Only for KVM's CPUID.1:EDX.APIC; the APIC's state is in LocalApic.
    state.sregs.apic_base = kApicEnabled;
    return state;
}

}  // namespace

CpuState sipi_state(std::uint8_t page)
{
    CpuState state = base_state();
    state.sregs.cr0 = kCr0ExtensionType | kCr0Caches;
    state.sregs.cs = segment(static_cast<std::uint16_t>(page << 8),
                             std::uint64_t{page} << 12, 0xffff, kTypeCode);
    set_data(state.sregs, segment(0, 0, 0xffff, kTypeData));
    return state;
}

CpuState entry_state(const Image& image)
{
    CpuState state = base_state();
    state.regs.rip = image.start;
    state.sregs.cr0 =
        kCr0ProtectionEnable | kCr0ExtensionType | kCr0NumericError;
    state.sregs.gdt.base = kGdtGpa;
    state.sregs.gdt.limit = 8 * kGdtEntries - 1;
    set_data(state.sregs, flat(kDataSelector, kTypeData, false));
    switch (image.entry) {
        case Entry::kProtected32:
        case Entry::kPvh:
            state.sregs.cs = flat(kCode32Selector, kTypeCode, false);
            state.regs.rbx = kStartInfoGpa;
            break;
        case Entry::kMultiboot:
            state.sregs.cs = flat(kCode32Selector, kTypeCode, false);
            state.regs.rax = kMultibootLoaderMagic;
            state.regs.rbx = kMultibootInfoGpa;
            break;
        case Entry::kLong64:
            state.sregs.cs = flat(kCode64Selector, kTypeCode, true);
            state.sregs.cr0 |= kCr0Paging | kCr0WriteProtect;
            state.sregs.cr3 = kPageTablesGpa;
            state.sregs.cr4 = kCr4PhysicalExtension | kCr4Fxsr;
            state.sregs.efer = kEferLongEnable | kEferLongActive;
            state.regs.rdi = kStartInfoGpa;
            break;
    }
    return state;
}

}  // namespace ipidefer::vmm
