// SPDX-License-Identifier: GPL-2.0-or-later
// The local APIC as a guest sees it: destinations, priorities, timer, halting.
#include "guests/scenarios/scenarios.hpp"

namespace guest::scenarios {
namespace {

u64 taken(unsigned id, u8 vector) { return g_cpus[id].taken[vector].load(); }

/// A CPU that halts until it is told to stop.
void halt_job(Cpu& self)
{
    while (self.stop.load() == 0) halt_until_interrupt();
}

void expect_arrives(u32 dest, u32 low, u32 mask, const char* what)
{
    u64 before[kSlots];
    for (unsigned id = 0; id < g_cpu_count; ++id)
        before[id] = taken(id, kVectorPlain);
    send_ipi(dest, low | kVectorPlain);
    open_window();
    await(what, [&] {
        open_window();
        for (unsigned id = 0; id < g_cpu_count; ++id)
            if ((mask >> id & 1) != 0 && taken(id, kVectorPlain) == before[id])
                return false;
        return true;
    });
    for (unsigned id = 0; id < g_cpu_count; ++id)
        expect(taken(id, kVectorPlain) == before[id] + (mask >> id & 1), what);
}

void destinations()
{
    const u32 all = (1u << g_cpu_count) - 1;
    expect_arrives(1, 0, 2, "physical");
    expect_arrives(2, 0, 4, "physical, another");
    expect_arrives(0, kIcrSelf, 1, "self");
    expect_arrives(0, kIcrAll, all, "all");
    expect_arrives(0, kIcrOthers, all & ~1u, "all but self");
    expect_arrives(g_x2apic ? 0xffff'ffff : 0xff, 0, all, "broadcast");
    // x2APIC: cluster 0, a bit per ID. xAPIC: flat, as below.
    expect_arrives(6, kIcrLogical, 6, "logical");
    if (!g_x2apic) expect_arrives(0x0f, kIcrLogical, all, "logical, all");
    // Lowest priority among CPUs 1 and 2: one of them.
    const auto both = [] {
        return taken(1, kVectorPlain) + taken(2, kVectorPlain);
    };
    const u64 before = both();
    send_ipi(6, kIcrLogical | kIcrLowest | kVectorPlain);
    await("lowest priority", [&] { return both() == before + 1; });
}

/// Opens the window until `vector` has been taken `count` times.
void expect_taken(u8 vector, u64 count, const char* what)
{
    await(what, [&] {
        open_window();
        return taken(0, vector) >= count;
    });
    expect(taken(0, vector) == count, what);
}

/// kVectorLow waits, while kVectorPlain, which was sent later, is taken.
void expect_held_back(const char* what)
{
    const u64 low = taken(0, kVectorLow), plain = taken(0, kVectorPlain);
    send_ipi(0, kIcrSelf | kVectorLow);
    send_ipi(0, kIcrSelf | kVectorPlain);
    expect_taken(kVectorPlain, plain + 1, what);
    if (taken(0, kVectorLow) != low) fail(what);
    expect(apic_bit(g_cpus[0], kApicIrr, kVectorLow),
           "what waits is not in IRR");
}

void priorities(const Cpu& self)
{
    const u64 low = taken(0, kVectorLow);
    apic_write(self, kApicTpr, 0x50);
    expect_held_back("TPR does not tell low from high");
    apic_write(self, kApicTpr, 0);
    expect_taken(kVectorLow, low + 1, "TPR was lowered: still held back");

    // The same by CR8, where writing it is the event.
    u64 eight = 5;
    asm volatile("mov %0, %%cr8" : : "r"(eight));
    expect(apic_read(self, kApicTpr) == 0x50, "CR8 is not TPR");
    expect_held_back("CR8 does not tell low from high");
    eight = 0;
    asm volatile("mov %0, %%cr8" : : "r"(eight));
    expect_taken(kVectorLow, low + 2, "CR8 was lowered: held back");
    expect(!apic_bit(g_cpus[0], kApicIsr, kVectorLow), "EOI left ISR set");
}

void timer(Cpu& self)
{
    const u64 before = taken(0, kVectorTimer);
    apic_write(self, kApicTimerDivide, kTimerUndivided);
    apic_write(self, kApicLvtTimer, kVectorTimer);
    apic_write(self, kApicTimerCount, 2'000'000);  // ns
    while (taken(0, kVectorTimer) == before) halt_until_interrupt();
    expect(taken(0, kVectorTimer) == before + 1, "one shot");
    expect(apic_read(self, kApicTimerNow) == 0, "a one-shot timer goes on");
    apic_write(self, kApicLvtTimer, kVectorTimer | kTimerPeriodic);
    apic_write(self, kApicTimerCount, 2'000'000);
    while (taken(0, kVectorTimer) < before + 6) halt_until_interrupt();
    apic_write(self, kApicTimerCount, 0);
    // In ring 3, which an expiry has to interrupt.
    apic_write(self, kApicLvtTimer, kVectorTimer);
    apic_write(self, kApicTimerCount, 3'000'000);
    const u64 now = taken(0, kVectorTimer);
    await("the timer does not interrupt ring 3", [&] {
        enter_user(self, 1'000'000);
        return taken(0, kVectorTimer) != now;
    });
    apic_write(self, kApicLvtTimer, kTimerMasked);
}

}  // namespace

void apic_basics()
{
    start_all();
    const auto set_logical = [](Cpu& self) {
        if (g_x2apic) return;
        apic_write(self, kApicDfr, 0xffff'ffff);
        apic_write(self, kApicLdr, 1u << (24 + self.id));
    };
    set_logical(g_cpus[0]);
    for (unsigned id = 1; id < g_cpu_count; ++id) {
        do_on(id, set_logical);
        give(id, halt_job);
    }
    destinations();
    priorities(g_cpus[0]);
    timer(g_cpus[0]);
    for (unsigned id = 1; id < g_cpu_count; ++id) g_cpus[id].stop.store(1);
    send_ipi(0, kIcrOthers | kVectorPlain);
    finish_from(1);
    // Unknown MSRs fault, x2APIC ones too unless in that mode.
    expect(!try_wrmsr(0x4950'49ff, 0), "an unknown MSR can be written");
    u64 value = 0;
    expect(try_rdmsr(kMsrX2apic + kApicId, value) == g_x2apic,
           "x2APIC MSRs and its mode");
    expect(!g_x2apic || !try_wrmsr(kMsrX2apic + kApicId, 0),
           "the APIC ID can be written");
    expect(!try_wrmsr(kMsrApicBase, kApicPage | kApicBaseX2),
           "an invalid APIC mode was accepted");
}

}  // namespace guest::scenarios
