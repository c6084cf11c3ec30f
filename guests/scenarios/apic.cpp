// SPDX-License-Identifier: GPL-2.0-or-later
// The local APIC as a guest sees it: destinations, priorities, timer, halting.
#include "guests/scenarios/scenarios.hpp"

namespace guest {
namespace {

void open_window()
{
    irqs_on();
    relax();
    relax();
    irqs_off();
}

u64 taken(unsigned id, u8 vector) { return g_cpus[id].taken[vector].load(); }

/// A CPU that halts until it is told to stop.
void halt_job(Cpu& self)
{
    while (self.stop.load() == 0) halt_until_interrupt();
}

void expect_arrives(u32 dest, u32 low, u32 mask, const char* what)
{
    u64 before[kMostCpus];
    for (unsigned id = 0; id < g_cpu_count; ++id)
        before[id] = taken(id, kVectorPlain);
    send_ipi(dest, low | kVectorPlain);
    open_window();
    const bool came = wait_for([&] {
        open_window();
        for (unsigned id = 0; id < g_cpu_count; ++id)
            if ((mask >> id & 1) != 0 && taken(id, kVectorPlain) == before[id])
                return false;
        return true;
    });
    if (!came) fail(what);
    for (unsigned id = 0; id < g_cpu_count; ++id)
        if (taken(id, kVectorPlain) != before[id] + (mask >> id & 1))
            fail(what);
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
    const u64 before = taken(1, kVectorPlain) + taken(2, kVectorPlain);
    send_ipi(6, kIcrLogical | kIcrLowest | kVectorPlain);
    expect(wait_for([&] {
               return taken(1, kVectorPlain) + taken(2, kVectorPlain) ==
                      before + 1;
           }),
           "lowest priority");
}

/// Opens the window until `vector` has been taken `count` times. Emulation may
/// look for interrupts later than the instruction after STI.
void expect_taken(u8 vector, u64 count, const char* what)
{
    const bool came = wait_for([&] {
        open_window();
        return taken(0, vector) >= count;
    });
    if (!came || taken(0, vector) != count) fail(what);
}

/// kVectorLow waits, while kVectorPlain, which was sent later, is taken.
void expect_held_back(const char* what)
{
    const u64 low = taken(0, kVectorLow), plain = taken(0, kVectorPlain);
    send_ipi(0, kIcrSelf | kVectorLow);
    send_ipi(0, kIcrSelf | kVectorPlain);
    expect_taken(kVectorPlain, plain + 1, what);
    if (taken(0, kVectorLow) != low) fail(what);
    expect((apic_read(kApicIrr + kVectorLow / 32) >> kVectorLow % 32 & 1) != 0,
           "what waits is not in IRR");
}

void priorities()
{
    const u64 low = taken(0, kVectorLow);
    apic_write(kApicTpr, 0x50);
    expect_held_back("TPR does not tell low from high");
    apic_write(kApicTpr, 0);
    expect_taken(kVectorLow, low + 1, "TPR was lowered: still held back");

    // The same by CR8, where writing it is the event.
    u64 eight = 5;
    asm volatile("mov %0, %%cr8" : : "r"(eight));
    expect(apic_read(kApicTpr) == 0x50, "CR8 is not TPR");
    expect_held_back("CR8 does not tell low from high");
    eight = 0;
    asm volatile("mov %0, %%cr8" : : "r"(eight));
    expect_taken(kVectorLow, low + 2, "CR8 was lowered: held back");
    expect(apic_read(kApicIsr + kVectorLow / 32) == 0, "EOI left ISR set");
}

void timer()
{
    const u64 before = taken(0, kVectorTimer);
    apic_write(kApicTimerDivide, 0xb);
    apic_write(kApicLvtTimer, kVectorTimer);
    apic_write(kApicTimerCount, 2'000'000);  // ns
    while (taken(0, kVectorTimer) == before) halt_until_interrupt();
    expect(taken(0, kVectorTimer) == before + 1, "one shot");
    expect(apic_read(kApicTimerNow) == 0, "a one-shot timer goes on");
    apic_write(kApicLvtTimer, kVectorTimer | 1u << 17);
    apic_write(kApicTimerCount, 2'000'000);
    while (taken(0, kVectorTimer) < before + 6) halt_until_interrupt();
    apic_write(kApicTimerCount, 0);
    // In ring 3, which an expiry has to interrupt.
    apic_write(kApicLvtTimer, kVectorTimer);
    apic_write(kApicTimerCount, 3'000'000);
    const u64 now = taken(0, kVectorTimer);
    Cpu& self = g_cpus[0];
    expect(wait_for([&] {
               enter_user(self, user_count, 1'000'000);
               return taken(0, kVectorTimer) != now;
           }),
           "the timer does not interrupt ring 3");
    apic_write(kApicLvtTimer, 1u << 16);
}

}  // namespace

void apic_basics()
{
    start_all();
    const auto set_logical = [](Cpu& self) {
        if (g_x2apic) return;
        apic_write(kApicDfr, 0xffff'ffff);
        apic_write(kApicLdr, 1u << (24 + self.id));
    };
    set_logical(g_cpus[0]);
    for (unsigned id = 1; id < g_cpu_count; ++id) {
        give(id, set_logical);
        finish(id);
        give(id, halt_job);
    }
    destinations();
    priorities();
    timer();
    for (unsigned id = 1; id < g_cpu_count; ++id) g_cpus[id].stop.store(1);
    send_ipi(0, kIcrOthers | kVectorPlain);
    for (unsigned id = 1; id < g_cpu_count; ++id) finish(id);
    // Unknown MSRs fault, x2APIC ones too unless in that mode.
    expect(!try_wrmsr(0x4950'49ff, 0), "an unknown MSR can be written");
    u64 value = 0;
    expect(try_rdmsr(0x802, value) == g_x2apic, "x2APIC MSRs and its mode");
    expect(!g_x2apic || !try_wrmsr(0x802, 0), "the APIC ID can be written");
    expect(!try_wrmsr(0x1b, 0xfee0'0400), "an invalid APIC mode was accepted");
}

}  // namespace guest
