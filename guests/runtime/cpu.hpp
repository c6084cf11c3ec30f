// SPDX-License-Identifier: GPL-2.0-or-later
// A CPU of a guest: how it comes up, what it does with traps, ring 3 and back.
// A program on top has cpu_in(), run() and trap().
#pragma once

#include <atomic>

#include "guests/runtime/layout.h"
#include "guests/runtime/machine.hpp"

namespace guest {

inline constexpr unsigned kSlots = GUEST_SLOTS;

inline constexpr u8 kVectorNmi = 2;
inline constexpr u8 kVectorUd = 6;
inline constexpr u8 kVectorGp = 13;
inline constexpr u8 kFirstInterrupt = 32;
inline constexpr u8 kVectorSpurious = 0xff;

/// What common_stub leaves on the stack.
struct Frame {
    u64 r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
    u64 vector, error, rip, cs, rflags, rsp, ss;

    [[nodiscard]] bool from_ring_3() const { return (cs & 3) == 3; }
};

/// The processor's Tss lies at an odd multiple of 4, so that its 64-bit fields
/// are aligned.
struct alignas(8) Tss {
    u32 filler;
    u32 reserved0;
    u64 rsp[3];  // [0]: where a trap from ring 3 begins, below to_user()'s
                 // frame
    u64 reserved1;
    u64 ist[7];
    u64 reserved2;
    u16 reserved3;
    u16 io_map;
};
static_assert(sizeof(Tss) == 112);

/// Zero at the start, and what a program keeps in it stays when the CPU is
/// started once more.
struct Cpu {
    u32 id;    // of its local APIC
    u32 slot;  // the same, but for large ones
    bool x2apic;
    std::atomic<u32> online;
    std::atomic<u64> taken[256];
    Tss tss;
    alignas(16) u8 user_stack[1024];
};

// ---- A program's

/// The program's CPUs, each a Cpu and more.
Cpu& cpu_in(unsigned slot);
/// What CPUs do: on a stack of their own, with interrupts off, and a local APIC
/// that is still to be started.
[[noreturn]] void run(Cpu& cpu, bool first);
/// Every trap, with interrupts off; most of it is handle().
void trap(Cpu& cpu, Frame& frame);

// ---- The runtime's

/// Whose stack is this? In ring 0 only.
Cpu& this_cpu();
/// Counts and ends interrupts, returns from ring 3, goes on after a #GP that
/// was asked for. Anything else is said, and ends the guest.
void handle(Cpu& cpu, Frame& frame);
/// Runs code(a, b) in ring 3, until it ends itself by leave_user(). Interrupts
/// are off afterwards.
void run_in_user(Cpu& cpu, void (*code)(u64 a, u64 b), u64 a, u64 b);
/// A system call would be usual, but cannot be had on every KVM.
[[noreturn]] inline void leave_user() { __builtin_trap(); }
/// What multiboot says of its information.
extern u32 g_boot_info;

}  // namespace guest
