// SPDX-License-Identifier: GPL-2.0-or-later
// IPIs to CPUs in ring 3, which may be recorded: nothing is lost (I1, I5), NMIs
// come through (I3, I10), and INIT ends it all.
#include "guests/scenarios/scenarios.hpp"

namespace guest::scenarios {
namespace {

std::atomic<u64> g_sent{0};

u64 typed_taken(const Cpu& cpu)
{
    return cpu.taken[kVectorSync].load() + cpu.taken[kVectorFlush].load();
}

/// A sender's share of the storm; targets are the CPUs that are isolated.
void send_rounds(Cpu& self)
{
    const u64 rounds = option("rounds", 200);
    for (u64 i = 0; i < rounds; ++i) {
        synchronise(g_cpus[1], typed_vector(i + self.id));
        g_sent.fetch_add(1);
    }
}

}  // namespace

void isolated_job(Cpu& cpu)
{
    register_cpu(cpu);
    const u64 stay = option("stay", 20'000);
    for (u64 i = 0; cpu.stop.load() == 0; ++i)
        enter_user(cpu, stay + (i & 7) * 1000);
    unregister_cpu();
    // What was delivered just before is still to come.
    open_window();
}

void isolate(unsigned id)
{
    Cpu& cpu = g_cpus[id];
    cpu.word.store(kCtxKernel);
    cpu.stop.store(0);
    const u64 loops = cpu.user_loops.load();
    give(id, isolated_job);
    await("an isolated CPU is not in ring 3",
          [&] { return cpu.user_loops.load() != loops; });
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
    give_from(2, send_rounds);
    send_rounds(g_cpus[0]);
    finish_from(2);
    release(1);

    const Cpu& cpu = g_cpus[1];
    expect(cpu.done.load() <= cpu.requested.load(), "done before requested");
    print_values({{"sent", g_sent.load()},
                  {"taken", typed_taken(cpu)},
                  {"flushes", cpu.flushes.load()},
                  {"entries", cpu.entries_from_user.load()},
                  {"loops", cpu.user_loops.load()}});
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
        synchronise(cpu, typed_vector(i));
        await("work was not done", [&] { return cpu.done.load() == i; });
        // Whatever else the IPI brought comes before the CPU is through ring 3
        // twice, with interrupts on.
        const u64 entries = cpu.entries_from_user.load();
        await("the CPU does not leave ring 3",
              [&] { return cpu.entries_from_user.load() > entries + 2; });
        expect(cpu.flushes.load() == i, "recorded and delivered");
        interrupts = typed_taken(cpu);
    }
    release(1);
    print_values({{"sent", rounds}, {"taken", interrupts}});
}

void nmis()
{
    start_all();
    isolate(1);
    Cpu& cpu = g_cpus[1];
    auto& taken = cpu.taken[kVectorNmi];
    const u64 rounds = option("rounds", 50);
    for (u64 i = 0; i < rounds; ++i) {
        synchronise(cpu, kVectorSync);
        // The vector of an NMI means nothing, even if it is a typed one.
        const u64 before = taken.load();
        send_ipi(1, kIcrNmi | kIcrAssert | kVectorSync);
        await("an NMI was lost", [&] { return taken.load() != before; });
    }
    const u64 window = option("window", 20);
    for (u64 i = 0; i < window; ++i) {
        // Work is recorded; then the CPU enters, and stays before its flush.
        await("no work was recorded", [&] {
            synchronise(cpu, kVectorSync);
            const u32 word = cpu.word.load();
            return (word & kWorkSync) != 0 && (word & kCtxMask) == kCtxUser;
        });
        cpu.hold_entry.store(kHold);
        await("the CPU does not enter its kernel",
              [&] { return cpu.hold_entry.load() == kHolding; });
        send_ipi(1, kIcrNmi | kIcrAssert);
        await("the CPU does not leave its entry",
              [&] { return cpu.hold_entry.load() == kNoHold; });
    }
    release(1);
    print_values({{"nmis", taken.load()},
                  {"in_user", cpu.nmis_in_user.load()},
                  {"in_entry", cpu.nmis_in_entry.load()},
                  {"in_kernel", cpu.nmis_in_kernel.load()}});
    expect(taken.load() == rounds + window, "more or fewer NMIs than sent");
    expect(cpu.nmis_in_entry.load() >= window, "NMIs missed the entry");
}

void init_ends_registration()
{
    start_all();
    isolate(1);
    Cpu& cpu = g_cpus[1];
    synchronise(cpu, kVectorSync);
    start_cpu(1);  // by INIT, out of ring 3

    static u64 value;
    static bool readable;
    do_on(1, [](Cpu&) { readable = try_rdmsr(IPI_DEFER_MSR_REGISTER, value); });
    expect(readable, "the register cannot be read");
    expect(value == 0, "a registration outlives INIT");

    // A word that would accept, and an IPI that must not be recorded in it.
    cpu.word.store(kCtxUser);
    send_ipi(1, kVectorSync);
    expect(cpu.word.load() == kCtxUser, "a word was written after INIT");
    // It is an ordinary interrupt now.
    do_on(1, [](Cpu& self) {
        self.word.store(kCtxKernel);
        irqs_on();
        await("a typed IPI without a registration is lost",
              [&] { return self.taken[kVectorSync].load() != 0; });
        irqs_off();
    });
}

}  // namespace guest::scenarios
