// SPDX-License-Identifier: GPL-2.0-or-later
// The KVM test guest: a freestanding kernel of a few hundred lines. Its first
// CPU runs the scenario that the command line names; the others do what they
// are given, and isolated ones spend their time in ring 3, with a context word
// that entry and exit code keep (docs/ABI.md, "What the guest owes").
//
// Nothing here is slow without need: ring 0 may be emulated. No SSE.
#pragma once

#include <ipidefer/ipi_defer.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace guest {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;

inline constexpr unsigned kMostCpus = 16;

// The two kinds of work that this guest defers.
inline constexpr u8 kVectorSync = 0xf5;
inline constexpr u8 kVectorFlush = 0xf6;
// And interrupts that mean nothing.
inline constexpr u8 kVectorPlain = 0xe0;
inline constexpr u8 kVectorTimer = 0xe1;
inline constexpr u8 kVectorLow = 0x41;
inline constexpr u8 kVectorSpurious = 0xff;
inline constexpr u8 kVectorNmi = 2;
inline constexpr u8 kVectorUd = 6;
inline constexpr u8 kVectorGp = 13;

// The context word.
//  31      10   9       8     7      2 1     0
// | reserved | flush | sync | reserved | ctx  |
//              work, set by the VMM      owner only
inline constexpr u32 kCtxMask = 3;
inline constexpr u32 kCtxKernel = 0;
inline constexpr u32 kCtxIdle = 1;
inline constexpr u32 kCtxUser = 2;
inline constexpr u32 kCtxGuest = 3;
inline constexpr u32 kWorkSync = 1u << 8;
inline constexpr u32 kWorkFlush = 1u << 9;
inline constexpr u32 kWork = kWorkSync | kWorkFlush;

/// What common_stub leaves on the stack.
struct Frame {
    u64 r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
    u64 vector, error, rip, cs, rflags, rsp, ss;
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
inline constexpr u64 kTssBytes = 104;

/// The next entry is to wait for an NMI before its flush; it does; neither.
inline constexpr u32 kNoHold = 0;
inline constexpr u32 kHold = 1;
inline constexpr u32 kHolding = 2;

/// A page of its own for each: senders of other CPUs write here too.
struct alignas(4096) Cpu {
    // What the VMM is told of; 256-byte aligned.
    alignas(IPI_DEFER_TABLE_BYTES)
        ipi_defer_binding table[IPI_DEFER_MAX_BINDINGS];

    alignas(64) std::atomic<u32> word;

    // I5, I9: requests, and which of them are done.
    alignas(64) std::atomic<u64> requested;
    std::atomic<u64> done;
    /// Versions of the "text": what kernel code may rely on having seen, and
    /// what it has.
    std::atomic<u64> must_see;
    std::atomic<u64> seen;

    alignas(64) std::atomic<u64> user_loops;
    std::atomic<u32> stop;

    alignas(64) std::atomic<u32> online;
    void (*volatile job)(Cpu&);
    std::atomic<u32> busy;
    u32 id;
    u64 recover;  // where to go on after a #GP; 0: none is expected
    u32 faulted;
    std::atomic<u64> taken[256];
    std::atomic<u64> entries_from_user;
    std::atomic<u64> flushes;
    std::atomic<u64> nmis_in_user, nmis_in_entry, nmis_in_kernel;
    volatile u32 in_entry;        // between entry atomic and flush
    std::atomic<u32> hold_entry;  // one of the three below
    u64 gdt[7];
    Tss tss;
    u8 user_stack[1024];
};

extern Cpu g_cpus[kMostCpus];
extern unsigned g_cpu_count;
extern bool g_x2apic;
/// How long a wait may take, in TSC ticks: "patience=" millions of them.
extern u64 g_patience;
/// The version of the "text" that senders change.
extern std::atomic<u64> g_version;

// ---- Command line, console, end

/// The number after "name=" (decimal), or `otherwise`.
u64 option(const char* name, u64 otherwise);
/// Is "name=value" there?
bool option_is(const char* name, const char* value);
void print(const char* text);
void print(u64 value);
/// "name=value " for results that a test reads.
void print_value(const char* name, u64 value);
[[noreturn]] void end(u32 status);
/// Says why on the console, and ends with status 1.
[[noreturn]] void fail(const char* why);
inline void expect(bool good, const char* what)
{
    if (!good) fail(what);
}
void mark(u32 value);

// ---- The machine

Cpu& this_cpu();
u64 tsc();
u64 rdmsr(u32 msr);
void wrmsr(u32 msr, u64 value);
/// @return false: it raised #GP.
bool try_wrmsr(u32 msr, u64 value);
bool try_rdmsr(u32 msr, u64& value);
inline void relax() { asm volatile("pause" ::: "memory"); }
inline void irqs_on() { asm volatile("sti" ::: "memory"); }
inline void irqs_off() { asm volatile("cli" ::: "memory"); }
inline void halt_until_interrupt()
{
    asm volatile("sti; hlt; cli" ::: "memory");
}

/// Registers of the local APIC, by MMIO offset / 16.
enum Apic : u32 {
    kApicId = 0x02,
    kApicVersion = 0x03,
    kApicTpr = 0x08,
    kApicPpr = 0x0a,
    kApicEoi = 0x0b,
    kApicLdr = 0x0d,
    kApicDfr = 0x0e,
    kApicSvr = 0x0f,
    kApicIsr = 0x10,
    kApicIrr = 0x20,
    kApicEsr = 0x28,
    kApicIcr = 0x30,
    kApicIcrHigh = 0x31,
    kApicLvtTimer = 0x32,
    kApicTimerCount = 0x38,
    kApicTimerNow = 0x39,
    kApicTimerDivide = 0x3e,
    kApicSelf = 0x3f,
};
u32 apic_read(u32 reg);
void apic_write(u32 reg, u32 value);
/// `low`: as in the ICR. `dest`: an APIC ID or a logical destination.
void send_ipi(u32 dest, u32 low);
inline constexpr u32 kIcrNmi = 4 << 8;
inline constexpr u32 kIcrInit = 5 << 8;
inline constexpr u32 kIcrSipi = 6 << 8;
inline constexpr u32 kIcrLowest = 1 << 8;
inline constexpr u32 kIcrLogical = 1 << 11;
inline constexpr u32 kIcrAssert = 1 << 14;
inline constexpr u32 kIcrSelf = 1 << 18;
inline constexpr u32 kIcrAll = 2 << 18;
inline constexpr u32 kIcrOthers = 3 << 18;

// ---- CPUs

/// Until `done` says so; false after g_patience.
template <typename Done>
bool wait_for(Done done)
{
    const u64 end_at = tsc() + g_patience;
    while (!done()) {
        if (tsc() > end_at) return false;
        relax();
    }
    return true;
}
void start_cpu(unsigned id);
void start_all();
/// Gives an idle CPU something to do; finish() waits for its end.
void give(unsigned id, void (*job)(Cpu&));
void finish(unsigned id);

// ---- Deferral

/// Is the contract there, with F_ICR?
bool contract_found();
/// A table with both kinds of work for this CPU's word.
void fill_table(Cpu& cpu);
u64 register_value(const Cpu& cpu, unsigned bindings);
inline constexpr unsigned kBindings = 2;
void enter_user(Cpu& cpu, void (*code)(), u64 argument);
/// Ring 3 until cpu.stop is not 0.
void enter_user_until_stopped(Cpu& cpu);
/// I5's check, in kernel code of an isolated CPU: has all been seen that some
/// sender relies on?
void check_seen(Cpu& cpu);
/// A sender: change the text, tell the target, wait until it is safe.
/// @return false: its wait did not end
bool synchronise(Cpu& target, u8 vector);

/// What a scenario is.
using Scenario = void (*)();
Scenario scenario_of_command_line();

}  // namespace guest

extern "C" {
void to_user(std::uint64_t* saved, std::uint64_t rip, std::uint64_t rsp,
             std::uint64_t a, std::uint64_t b);
[[noreturn]] void from_user(std::uint64_t saved);
void user_count();
void user_until();
extern std::uint64_t start_info;
extern char stubs[], start_ap_begin[], start_ap_end[], stacks[];
}
