// SPDX-License-Identifier: GPL-2.0-or-later
#include "guests/puppet/svm.hpp"

#include "guests/runtime/apic.hpp"

namespace guest {
namespace {

constexpr u32 kMsrEfer = 0xc000'0080;
constexpr u64 kEferSvme = 1 << 12;
constexpr u32 kMsrVmHsavePa = 0xc001'0117;
constexpr u64 kCodeAttributes = 0xa9b;  // 64-bit, present, read, accessed
constexpr u64 kDataAttributes = 0xc93;
constexpr u64 kRflagsIf = 1 << 9, kRflagsAlways = 1 << 1;
// Intercepts.
constexpr u32 kIntr = 1 << 0, kVintr = 1 << 4, kHlt = 1 << 24, kVmrun = 1 << 0;
constexpr u32 kVIrq = 1 << 8, kVIgnoreTpr = 1 << 20, kVIntrMasking = 1 << 24;
constexpr u32 kEventValid = 1U << 31;
constexpr u64 kExitIntr = 0x60, kExitVintr = 0x64, kExitHlt = 0x78;
// Where in its CPU's stack the nested guest's begins, below what is in use.
constexpr u64 kStackInUse = 1024;

// What is used of the VMCB (APM volume 2, appendix B).
constexpr u64 kIntercept3 = 0x0c, kIntercept4 = 0x10, kAsid = 0x58,
              kIntCtl = 0x60, kExitCode = 0x70, kEventInj = 0xa8, kEs = 0x400,
              kCs = 0x410, kSs = 0x420, kDs = 0x430, kGdtr = 0x460,
              kIdtr = 0x480, kEfer = 0x4d0, kCr4 = 0x548, kCr3 = 0x550,
              kCr0 = 0x558, kDr7 = 0x560, kDr6 = 0x568, kRflags = 0x570,
              kRip = 0x578, kRsp = 0x5d8;

struct alignas(4096) Page {
    u64 words[512];

    u64& at(u64 offset) { return words[offset / 8]; }
    u32& half(u64 offset) { return reinterpret_cast<u32*>(words)[offset / 4]; }
};
struct Areas {
    Page vmcb, host;
};
// One CPU at a time has a nested guest.
constinit Areas g_areas{};
u64 g_spin = 0;

struct [[gnu::packed]] DescriptorTable {
    u16 limit;
    u64 base;
};

void set_table(Page& vmcb, u64 offset, const DescriptorTable& table)
{
    vmcb.half(offset + 4) = table.limit;
    vmcb.at(offset + 8) = table.base;
}

void set_segment(Page& vmcb, u64 offset, u64 selector, u64 attributes)
{
    vmcb.at(offset) = selector | attributes << 16 | u64{0xffff'ffff} << 32;
    vmcb.at(offset + 8) = 0;
}

/// All that the nested guest is.
[[gnu::naked]] void nested_guest()
{
    asm volatile(
        "mov %0, %%rcx\n"
        "1: sub $1, %%rcx\n"
        "jnc 1b\n"
        "2: hlt\n"
        "jmp 2b"
        :
        : "m"(g_spin));
}

void set_state(Page& vmcb)
{
    DescriptorTable gdt, idt;
    u64 cr0, cr3, cr4, rsp;
    asm volatile("sgdt %0" : "=m"(gdt));
    asm volatile("sidt %0" : "=m"(idt));
    asm volatile("mov %%cr0, %0" : "=r"(cr0));
    asm volatile("mov %%cr3, %0" : "=r"(cr3));
    asm volatile("mov %%cr4, %0" : "=r"(cr4));
    asm volatile("mov %%rsp, %0" : "=r"(rsp));
    set_segment(vmcb, kCs, GUEST_CODE, kCodeAttributes);
    for (const u64 offset : {kEs, kSs, kDs})
        set_segment(vmcb, offset, GUEST_DATA, kDataAttributes);
    set_table(vmcb, kGdtr, gdt);
    set_table(vmcb, kIdtr, idt);
    vmcb.at(kEfer) = rdmsr(kMsrEfer);
    vmcb.at(kCr0) = cr0;
    vmcb.at(kCr3) = cr3;
    vmcb.at(kCr4) = cr4;
    vmcb.at(kDr6) = 0xffff'0ff0;
    vmcb.at(kDr7) = 0x400;
    vmcb.at(kRip) = reinterpret_cast<u64>(nested_guest);
    vmcb.at(kRsp) = (rsp & ~u64{15}) - kStackInUse;
}

void enter(Page& vmcb)
{
    // The nested guest's handlers change what VMRUN does not keep.
    asm volatile(
        "push %%rbp\n"
        "clgi\n"
        "vmrun %%rax\n"
        "stgi\n"
        "pop %%rbp"
        :
        : "a"(&vmcb)
        : "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12",
          "r13", "r14", "r15", "memory", "cc");
}

}  // namespace

bool run_nested(const NestedRun& run)
{
    Page& vmcb = g_areas.vmcb;
    wrmsr(kMsrEfer, rdmsr(kMsrEfer) | kEferSvme);
    wrmsr(kMsrVmHsavePa, reinterpret_cast<u64>(&g_areas.host));
    set_state(vmcb);
    g_spin = run.spin;
    const bool injects = run.vector != 0;
    vmcb.half(kIntercept3) = injects ? kHlt : kIntr | kVintr | kHlt;
    vmcb.half(kIntercept4) = kVmrun;
    vmcb.half(kAsid) = 1;
    vmcb.half(kIntCtl) = injects ? 0 : kVIrq | kVIgnoreTpr | kVIntrMasking;
    vmcb.at(kEventInj) = injects ? kEventValid | run.vector : 0;
    vmcb.at(kRflags) = kRflagsAlways | (injects ? 0 : kRflagsIf);
    enter(vmcb);
    const u64 exit = vmcb.at(kExitCode);
    return injects ? exit == kExitHlt : exit == kExitVintr || exit == kExitIntr;
}

GlobalInterrupts check_global_interrupts(Cpu& self, u8 vector, u32 rounds)
{
    constexpr u32 kWhile = 16;  // some instructions, in which it would be taken
    constexpr u32 kLong = 100'000;
    const std::atomic<u64>& taken = self.taken[vector];
    GlobalInterrupts seen{};
    wrmsr(kMsrEfer, rdmsr(kMsrEfer) | kEferSvme);
    for (u32 i = 0; i < rounds; ++i) {
        const u64 before = taken.load();
        asm volatile("clgi" : : : "memory");
        send_ipi(self, 0, kIcrSelf | kIcrAssert | vector);
        for (u32 j = 0; j < kWhile; ++j) asm volatile("pause" : : : "memory");
        const bool early = taken.load() != before;
        asm volatile("stgi" : : : "memory");
        seen.early += early;
        for (u32 j = 0; taken.load() == before && j < kLong; ++j)
            asm volatile("pause" : : : "memory");
        seen.overdue += taken.load() == before;
    }
    return seen;
}

}  // namespace guest
