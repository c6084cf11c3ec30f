// SPDX-License-Identifier: GPL-2.0-or-later
#include "guests/runtime/cpu.hpp"

#include "guests/runtime/apic.hpp"
#include "guests/runtime/output.hpp"

using namespace guest;

namespace {

constexpr u64 kInterruptGate = u64{0x8e} << 40;
constexpr u64 kTssBytes = 104;
constexpr u64 kAvailableTss = u64{0x89} << 40;
constexpr u64 kCarry = 1;

}  // namespace

// What boot.S and traps.S have, and what they use.
extern "C" {
void to_user(u64* saved, u64 rip, u64 rsp, u64 a, u64 b);
[[noreturn]] void from_user(u64 saved);
extern char stubs[], start_ap_begin[], start_ap_end[], stacks[];
extern u64 gdt_tss[];
extern const u64 may_fault_begin[], may_fault_end[];
alignas(16) u64 idt[256][2];
[[noreturn]] void cpu_main(u32 id, u32 slot, u32 boot_info);
void enter_trap(Frame* frame);
}

namespace {

void fill_idt()
{
    for (unsigned v = 0; v < 256; ++v) {
        const u64 stub = reinterpret_cast<u64>(stubs) + 16 * v;
        idt[v][0] = (stub & 0xffff) | GUEST_CODE << 16 | kInterruptGate |
                    (stub >> 16 & 0xffff) << 48;
        idt[v][1] = stub >> 32;
    }
}

void load_tss(Cpu& cpu)
{
    const u64 tss = reinterpret_cast<u64>(&cpu.tss.reserved0);
    cpu.tss.io_map = kTssBytes;
    u64* const entry = gdt_tss + 2 * cpu.slot;
    entry[0] = (kTssBytes - 1) | (tss & 0xff'ffff) << 16 | kAvailableTss |
               (tss >> 24 & 0xff) << 56;
    entry[1] = tss >> 32;
    asm volatile("ltr %w0" : : "r"(GUEST_FIRST_TSS + 16 * cpu.slot) : "memory");
}

void copy_start_of_others()
{
    auto* to = reinterpret_cast<volatile char*>(u64{GUEST_AP_START});
    for (const char* from = start_ap_begin; from < start_ap_end; ++from)
        *to++ = *from;
}

/// Both instructions that may_fault names are two bytes long, and leave the
/// flags alone.
bool recovers(Frame& frame)
{
    for (const u64* at = may_fault_begin; at < may_fault_end; ++at)
        if (*at == frame.rip) {
            frame.rip += 2;
            frame.rflags |= kCarry;
            return true;
        }
    return false;
}

[[noreturn]] void bad_trap(const Frame& frame)
{
    print("! exception ");
    print(frame.vector, 16);
    print(" at ");
    print(frame.rip, 16);
    print(" error ");
    print(frame.error, 16);
    print("\n");
    end(1);
}

}  // namespace

// An instruction that may raise #GP. Carry: it did.
#define MAY_FAULT(instruction)               \
    "clc\n"                                  \
    "1: " instruction                        \
    "\n\t.pushsection .may_fault, \"a\"\n\t" \
    ".quad 1b\n\t"                           \
    ".popsection"

namespace guest {

u64 g_patience = 0;
u32 g_boot_info = 0;

bool try_rdmsr(u32 msr, u64& value)
{
    u32 low = 0, high = 0;
    bool faulted;
    asm volatile(MAY_FAULT("rdmsr")
                 : "=@ccc"(faulted), "+a"(low), "+d"(high)
                 : "c"(msr)
                 : "memory");
    value = u64{high} << 32 | low;
    return !faulted;
}

bool try_wrmsr(u32 msr, u64 value)
{
    bool faulted;
    // An interrupt between write and note would be ended in the mode of before.
    const bool open = msr == kMsrApicBase && irqs_are_on();
    if (open) irqs_off();
    asm volatile(MAY_FAULT("wrmsr")
                 : "=@ccc"(faulted)
                 : "a"(static_cast<u32>(value)),
                   "d"(static_cast<u32>(value >> 32)), "c"(msr)
                 : "memory");
    if (!faulted && msr == kMsrApicBase) note_apic_mode(this_cpu(), value);
    if (open) irqs_on();
    return !faulted;
}

Cpu& this_cpu()
{
    u64 rsp;
    asm volatile("mov %%rsp, %0" : "=r"(rsp));
    // A push at the very top lies in this stack, not in the next one.
    return cpu_in(static_cast<unsigned>(
        (rsp - 1 - reinterpret_cast<u64>(stacks)) / GUEST_STACK_BYTES));
}

void handle(Cpu& cpu, Frame& frame)
{
    const auto vector = static_cast<u8>(frame.vector);
    if (vector >= kFirstInterrupt || vector == kVectorNmi) {
        cpu.taken[vector].fetch_add(1, std::memory_order_relaxed);
        if (vector != kVectorNmi && vector != kVectorSpurious)
            apic_write(cpu, kApicEoi, 0);
    } else if (vector == kVectorUd && frame.from_ring_3()) {
        from_user(cpu.tss.rsp[0]);
    } else if (vector != kVectorGp || !recovers(frame)) {
        bad_trap(frame);
    }
}

void run_in_user(Cpu& cpu, void (*code)(u64, u64), u64 a, u64 b)
{
    // As after a call, whose return address nobody uses.
    const u64 stack =
        reinterpret_cast<u64>(cpu.user_stack + sizeof(cpu.user_stack)) - 8;
    to_user(&cpu.tss.rsp[0], reinterpret_cast<u64>(code), stack, a, b);
}

}  // namespace guest

extern "C" void cpu_main(u32 id, u32 slot, u32 boot_info)
{
    const bool first = boot_info != 0;
    Cpu& cpu = cpu_in(slot);
    cpu.id = id;
    cpu.slot = slot;
    if (first) {
        g_boot_info = boot_info;
        fill_idt();
        copy_start_of_others();
    }
    load_tss(cpu);
    run(cpu, first);
}

extern "C" void enter_trap(Frame* frame) { trap(this_cpu(), *frame); }
