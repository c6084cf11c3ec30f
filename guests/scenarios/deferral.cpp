// SPDX-License-Identifier: GPL-2.0-or-later
// IPIs to CPUs in ring 3, which may be recorded: nothing is lost (I1, I5), NMIs
// come through (I3, I10), and INIT ends it all.
#include "guests/scenarios/scenarios.hpp"

namespace guest {
namespace {

std::atomic<u64> g_sent{0};

/// A sender's share of the storm; targets are the CPUs that are isolated.
void send_rounds(Cpu& self)
{
    const u64 rounds = option("rounds", 200);
    for (u64 i = 0; i < rounds; ++i) {
        const u8 vector = ((i + self.id) & 1) != 0 ? kVectorSync : kVectorFlush;
        if (!synchronise(g_cpus[1], vector))
            fail("lost work: neither recorded nor done");
        g_sent.fetch_add(1);
    }
}

}  // namespace

void isolated_job(Cpu& cpu)
{
    fill_table(cpu);
    wrmsr(IPI_DEFER_MSR_REGISTER, register_value(cpu, kBindings));
    const u64 stay = option("stay", 20'000);
    for (u64 i = 0; cpu.stop.load() == 0; ++i)
        enter_user(cpu, user_count, stay + (i & 7) * 1000);
    wrmsr(IPI_DEFER_MSR_REGISTER, 0);
    // What was delivered just before is still to come.
    irqs_on();
    relax();
    irqs_off();
}

void isolate(unsigned id)
{
    Cpu& cpu = g_cpus[id];
    cpu.word.store(kCtxKernel);
    cpu.stop.store(0);
    const u64 loops = cpu.user_loops.load();
    give(id, isolated_job);
    expect(wait_for([&] { return cpu.user_loops.load() != loops; }),
           "an isolated CPU is not in ring 3");
}

void release(unsigned id)
{
    g_cpus[id].stop.store(1);
    finish(id);
}

void storm()
{
    expect(contract_found(), "no signature in CPUID");
    start_all();
    isolate(1);
    if (option("loud", 0) != 0) print("storming\n");
    for (unsigned id = 2; id < g_cpu_count; ++id) give(id, send_rounds);
    send_rounds(g_cpus[0]);
    for (unsigned id = 2; id < g_cpu_count; ++id) finish(id);
    release(1);

    const Cpu& cpu = g_cpus[1];
    expect(cpu.done.load() <= cpu.requested.load(), "done before requested");
    print_value("sent", g_sent.load());
    print_value("taken",
                cpu.taken[kVectorSync].load() + cpu.taken[kVectorFlush].load());
    print_value("flushes", cpu.flushes.load());
    print_value("entries", cpu.entries_from_user.load());
    print_value("loops", cpu.user_loops.load());
    print("\n");
}

void once()
{
    expect(contract_found(), "no signature in CPUID");
    start_all();
    isolate(1);
    Cpu& cpu = g_cpus[1];
    const u64 rounds = option("rounds", 200);
    u64 interrupts = 0;
    for (u64 i = 1; i <= rounds; ++i) {
        const u8 vector = (i & 1) != 0 ? kVectorSync : kVectorFlush;
        if (!synchronise(cpu, vector)) fail("lost work");
        expect(wait_for([&] { return cpu.done.load() == i; }),
               "work was not done");
        // Whatever else the IPI brought comes before the CPU is through ring 3
        // twice, with interrupts on.
        const u64 entries = cpu.entries_from_user.load();
        expect(wait_for(
                   [&] { return cpu.entries_from_user.load() > entries + 2; }),
               "the CPU does not leave ring 3");
        expect(cpu.flushes.load() == i, "recorded and delivered");
        interrupts =
            cpu.taken[kVectorSync].load() + cpu.taken[kVectorFlush].load();
    }
    release(1);
    print_value("sent", rounds);
    print_value("taken", interrupts);
    print("\n");
}

void nmis()
{
    start_all();
    isolate(1);
    Cpu& cpu = g_cpus[1];
    auto& taken = cpu.taken[kVectorNmi];
    const u64 rounds = option("rounds", 50);
    for (u64 i = 0; i < rounds; ++i) {
        if (!synchronise(cpu, kVectorSync)) fail("lost work");
        // The vector of an NMI means nothing, even if it is a typed one.
        const u64 before = taken.load();
        send_ipi(1, kIcrNmi | kIcrAssert | kVectorSync);
        expect(wait_for([&] { return taken.load() != before; }),
               "an NMI was lost");
    }
    const u64 window = option("window", 20);
    for (u64 i = 0; i < window; ++i) {
        // Work is recorded; then the CPU enters, and stays before its flush.
        expect(wait_for([&] {
                   if (!synchronise(cpu, kVectorSync)) fail("lost work");
                   const u32 word = cpu.word.load();
                   return (word & kWorkSync) != 0 &&
                          (word & kCtxMask) == kCtxUser;
               }),
               "no work was recorded");
        cpu.hold_entry.store(kHold);
        expect(wait_for([&] { return cpu.hold_entry.load() == kHolding; }),
               "the CPU does not enter its kernel");
        send_ipi(1, kIcrNmi | kIcrAssert);
        expect(wait_for([&] { return cpu.hold_entry.load() == kNoHold; }),
               "the CPU does not leave its entry");
    }
    release(1);
    print_value("nmis", taken.load());
    print_value("in_user", cpu.nmis_in_user.load());
    print_value("in_entry", cpu.nmis_in_entry.load());
    print_value("in_kernel", cpu.nmis_in_kernel.load());
    print("\n");
    expect(taken.load() == rounds + window, "more or fewer NMIs than sent");
    expect(cpu.nmis_in_entry.load() >= window, "NMIs missed the entry");
}

void init_ends_registration()
{
    start_all();
    isolate(1);
    Cpu& cpu = g_cpus[1];
    expect(synchronise(cpu, kVectorSync), "lost work");
    start_cpu(1);  // by INIT, out of ring 3

    static u64 value;
    static bool readable;
    give(1, [](Cpu&) { readable = try_rdmsr(IPI_DEFER_MSR_REGISTER, value); });
    finish(1);
    expect(readable, "the register cannot be read");
    expect(value == 0, "a registration outlives INIT");

    // A word that would accept, and an IPI that must not be recorded in it.
    cpu.word.store(kCtxUser);
    send_ipi(1, kVectorSync);
    expect(cpu.word.load() == kCtxUser, "a word was written after INIT");
    // It is an ordinary interrupt now.
    give(1, [](Cpu& self) {
        self.word.store(kCtxKernel);
        irqs_on();
        expect(wait_for([&] { return self.taken[kVectorSync].load() != 0; }),
               "a typed IPI without a registration is lost");
        irqs_off();
    });
    finish(1);
}

}  // namespace guest
