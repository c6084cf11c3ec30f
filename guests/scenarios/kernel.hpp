// SPDX-License-Identifier: GPL-2.0-or-later
// A small kernel on the runtime. Its first CPU runs the scenario that the
// command line names; the others do what they are given, and isolated ones
// spend their time in ring 3, with a context word that entry and exit keep.
#pragma once

#include <initializer_list>

#include "guests/runtime/apic.hpp"
#include "guests/runtime/context.hpp"
#include "guests/runtime/output.hpp"

namespace guest::scenarios {

// Interrupts that mean nothing.
inline constexpr u8 kVectorPlain = 0xe0;
inline constexpr u8 kVectorTimer = 0xe1;
inline constexpr u8 kVectorLow = 0x41;

/// The next entry is to wait for an NMI before its flush; it does; neither.
inline constexpr u32 kNoHold = 0;
inline constexpr u32 kHold = 1;
inline constexpr u32 kHolding = 2;

/// A page of its own for each: senders of other CPUs write here too.
struct alignas(4096) Cpu : Context, guest::Cpu {
    alignas(64) std::atomic<u64> user_loops;
    std::atomic<u32> stop;

    alignas(64) void (*volatile job)(Cpu& self);
    std::atomic<u32> busy;
    std::atomic<u64> entries_from_user;
    std::atomic<u64> nmis_in_user, nmis_in_entry, nmis_in_kernel;
    volatile u32 in_entry;        // between entry atomic and flush
    std::atomic<u32> hold_entry;  // one of the three above
};

extern Cpu g_cpus[kSlots];
extern unsigned g_cpu_count;
extern bool g_x2apic;

// ---- Command line, results, marks

/// The number after "name=" (decimal), or `otherwise`.
u64 option(const char* name, u64 otherwise);
/// Is "name=value" there?
bool option_is(const char* name, const char* value);
/// A line of "name=value " for results that a test reads.
struct Value {
    const char* name;
    u64 value;
};
void print_values(std::initializer_list<Value> values);
/// The VMM notes its counters, with this.
void mark(u32 value);

// ---- CPUs

inline void send_ipi(u32 dest, u32 low)
{
    guest::send_ipi(this_cpu(), dest, low);
}
/// Takes what is pending: emulation may look for it later than the instruction
/// after STI.
inline void open_window()
{
    irqs_on();
    relax();
    relax();
    irqs_off();
}
using Job = void (*)(Cpu& self);
void start_cpu(unsigned id);
void start_all();
/// Gives an idle CPU something to do; finish() waits for its end.
void give(unsigned id, Job job);
void finish(unsigned id);
/// The same for CPU `first` and all above.
void give_from(unsigned first, Job job);
void finish_from(unsigned first);
inline void do_on(unsigned id, Job job)
{
    give(id, job);
    finish(id);
}

// ---- Isolated ones

/// This CPU's own; unregister_cpu() ends it.
void register_cpu(Cpu& self);
void unregister_cpu();
/// Ring 3 for so many loops.
void enter_user(Cpu& self, u64 loops);
/// Ring 3 until self.stop is not 0.
void enter_user_until_stopped(Cpu& self);
inline void synchronise(Cpu& target, u8 vector)
{
    target.synchronise(target.id, vector);
}
/// One kind of work, and the other, by turns.
inline u8 typed_vector(u64 turn)
{
    return (turn & 1) != 0 ? kVectorSync : kVectorFlush;
}

}  // namespace guest::scenarios
