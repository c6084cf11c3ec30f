// SPDX-License-Identifier: GPL-2.0-or-later
// `ipidefer bench kvm`: a loop in ring 3, and a CPU that sends to it, or not.
// The VMM is told to record kVectorSync only; kVectorFlush, bound alike, is
// always delivered. Marks tell the VMM where a phase begins and ends.
#include "guests/scenarios/scenarios.hpp"

namespace guest::scenarios {
namespace {

enum Phase : u32 { kQuiet = 0, kDelivered = 1, kDeferred = 2, kPhases = 3 };
constexpr u32 kEnd = 1u << 8;  // of a mark; round << 16

/// All that was sent has arrived, and CPU 1 is back in its loop, so that one
/// phase's interrupts are not counted in the next.
void settle()
{
    Cpu& target = g_cpus[1];
    // Lower than the vectors before, so taken after them.
    const u64 taken = target.taken[kVectorPlain].load();
    send_ipi(1, kVectorPlain);
    await("an IPI was lost",
          [&] { return target.taken[kVectorPlain].load() != taken; });
    for (unsigned i = 0; i < 3; ++i) {
        const u64 loops = target.user_loops.load();
        await("the loop does not run",
              [&] { return target.user_loops.load() != loops; });
    }
    const u64 end_at = tsc() + 5'000'000;
    while (tsc() < end_at) relax();
}

void run_phase(u32 round, u32 phase, u64 window)
{
    Cpu& target = g_cpus[1];
    u64 sent = 0;
    settle();
    mark(round << 16 | phase);
    const u64 loops = target.user_loops.load();
    const u64 end_at = tsc() + window;
    const u8 vector = phase == kDelivered ? kVectorFlush : kVectorSync;
    do {
        if (phase == kQuiet) continue;
        // Several for each look at the clock, which may be slow to read.
        for (unsigned i = 0; i < 8; ++i) send_ipi(1, vector);
        sent += 8;
    } while (tsc() < end_at);
    const u64 done = target.user_loops.load() - loops;
    mark(round << 16 | kEnd | phase);
    print_values(
        {{"round", round}, {"phase", phase}, {"sent", sent}, {"loops", done}});
}

}  // namespace

void bench()
{
    expect(contract_found(), "no signature in CPUID");
    start_all();
    give(1, [](Cpu& self) {
        register_cpu(self);
        while (self.stop.load() == 0) enter_user_until_stopped(self);
        unregister_cpu();
    });
    await("the loop does not run",
          [] { return g_cpus[1].user_loops.load() > 1000; });
    const u64 window = option("window", 500) * 1'000'000;
    const u32 rounds = static_cast<u32>(option("rounds", 10));
    for (u32 round = 0; round < rounds; ++round)
        // Every phase comes first, second and last equally often.
        for (u32 i = 0; i < kPhases; ++i)
            run_phase(round, (i + round) % kPhases, window);
    release(1);
}

/// Nothing but ring 3, for ever: what a nested guest does in the lab.
void spin()
{
    print("spinning\n");
    Cpu& self = g_cpus[0];
    self.stop.store(0);
    enter_user_until_stopped(self);
}

/// Spells of ring 3, and an exit to the VMM after each, for ever.
void exits()
{
    print("spinning\n");
    Cpu& self = g_cpus[0];
    const u64 stay = option("stay", 20'000);
    for (u64 i = 0;; ++i) {
        enter_user(self, stay + (i & 7) * 1000);
        apic_read(self, kApicId);
    }
}

}  // namespace guest::scenarios
