// SPDX-License-Identifier: GPL-2.0-or-later
// Nothing here is slow without need: ring 0 may be emulated, thousands of times
// slower than ring 3.
#include "guests/scenarios/kernel.hpp"

#include "guests/scenarios/scenarios.hpp"

namespace guest::scenarios {
namespace {

constexpr struct {
    const char* name;
    void (*scenario)();
} kScenarios[] = {
    {"apic", apic_basics},
    {"icr-storm", icr_storm},
    {"bad-registrations", bad_registrations},
    {"registration-storm", registration_storm},
    {"rewrite-storm", rewrite_storm},
    {"storm", storm},
    {"once", once},
    {"nmi", nmis},
    {"init", init_ends_registration},
    {"bench", bench},
    {"spin", spin},
    {"exits", exits},
};

bool g_flush_on_entry = true;
bool g_nmi_flushes = true;

/// First thing of every trap. I10: bits stay in the word until the exit, so
/// that an NMI in between sees them, and flushes first.
bool enter_kernel(Cpu& cpu, bool nmi)
{
    const bool was_user = cpu.stop_accepting();
    if (was_user) cpu.in_entry = 1;
    if (was_user && cpu.hold_entry.load() == kHold) {
        const u64 before = cpu.taken[kVectorNmi].load();
        cpu.hold_entry.store(kHolding);
        await("no NMI came between entry and flush",
              [&] { return cpu.taken[kVectorNmi].load() != before; });
        cpu.hold_entry.store(kNoHold);
    }
    if (cpu.has_work() && g_flush_on_entry && (!nmi || g_nmi_flushes))
        cpu.work();
    if (was_user) cpu.in_entry = 0;
    return was_user;
}

[[noreturn]] void idle_loop(Cpu& cpu)
{
    cpu.online.store(1);
    for (;;) {
        if (const auto job = cpu.job; job != nullptr) {
            job(cpu);
            cpu.job = nullptr;
            cpu.busy.store(0);
        }
        relax();
    }
}

[[noreturn]] void run_scenario(Cpu& cpu)
{
    cpu.online.store(1);
    for (const auto& [name, scenario] : kScenarios)
        if (option_is("scenario", name)) {
            scenario();
            print("== end\n");
            end(0);
        }
    fail("no such scenario");
}

/// "patience=": millions of TSC ticks.
void read_options()
{
    g_cpu_count = static_cast<unsigned>(option("cpus", 1));
    g_patience = option("patience", 60'000) * 1'000'000;
    g_x2apic = !option_is("apic", "x");
    g_flush_on_entry = option("omit-flush", 0) == 0;
    g_nmi_flushes = option("omit-nmi-flush", 0) == 0;
    if (g_cpu_count > kSlots) fail("more CPUs than this guest can have");
}

// ---- Ring 3. Loops in assembly, so that they are the same for all compilers.

void count(u64 counter, u64 loops)
{
    asm volatile("1: incq (%0); dec %1; jnz 1b"
                 : "+r"(counter), "+r"(loops)
                 :
                 : "memory");
    leave_user();
}

void count_until(u64 counter, u64 stop)
{
    asm volatile("1: incq (%0); cmpl $0, (%1); je 1b"
                 :
                 : "r"(counter), "r"(stop)
                 : "memory");
    leave_user();
}

void stay_in_user(Cpu& self, void (*code)(u64, u64), u64 argument)
{
    irqs_off();
    self.accept();
    run_in_user(self, code, reinterpret_cast<u64>(&self.user_loops), argument);
    self.check_seen();
}

}  // namespace

constinit Cpu g_cpus[kSlots]{};
unsigned g_cpu_count = 1;
bool g_x2apic = true;

void start_cpu(unsigned id)
{
    Cpu& cpu = g_cpus[id];
    cpu.online.store(0);
    cpu.job = nullptr;
    cpu.busy.store(0);
    start_cpus(this_cpu(), id);
    await("a CPU did not start", [&] { return cpu.online.load() != 0; });
}

void start_all()
{
    for (unsigned id = 1; id < g_cpu_count; ++id) start_cpu(id);
}

void give(unsigned id, Job job)
{
    g_cpus[id].busy.store(1);
    g_cpus[id].job = job;
}

void finish(unsigned id)
{
    await("a CPU did not finish", [id] { return g_cpus[id].busy.load() == 0; });
}

void give_from(unsigned first, Job job)
{
    for (unsigned id = first; id < g_cpu_count; ++id) give(id, job);
}

void finish_from(unsigned first)
{
    for (unsigned id = first; id < g_cpu_count; ++id) finish(id);
}

void register_cpu(Cpu& self)
{
    self.fill_table();
    wrmsr(IPI_DEFER_MSR_REGISTER, self.registration());
}

void unregister_cpu() { wrmsr(IPI_DEFER_MSR_REGISTER, 0); }

void enter_user(Cpu& self, u64 loops) { stay_in_user(self, count, loops); }

void enter_user_until_stopped(Cpu& self)
{
    stay_in_user(self, count_until, reinterpret_cast<u64>(&self.stop));
}

}  // namespace guest::scenarios

// ---- What the runtime calls

namespace guest {

Cpu& cpu_in(unsigned slot) { return scenarios::g_cpus[slot]; }

void run(Cpu& cpu, bool first)
{
    auto& self = static_cast<scenarios::Cpu&>(cpu);
    if (first) scenarios::read_options();
    start_apic(self, scenarios::g_x2apic);
    if (first) scenarios::run_scenario(self);
    scenarios::idle_loop(self);
}

void trap(Cpu& any, Frame& frame)
{
    auto& cpu = static_cast<scenarios::Cpu&>(any);
    const auto vector = static_cast<u8>(frame.vector);
    const bool nmi = vector == kVectorNmi;
    const bool in_entry = cpu.in_entry != 0;
    const bool was_user = scenarios::enter_kernel(cpu, nmi);
    if (was_user) cpu.entries_from_user.fetch_add(1, std::memory_order_relaxed);
    if (nmi) {
        auto& where = frame.from_ring_3() ? cpu.nmis_in_user
                      : in_entry          ? cpu.nmis_in_entry
                                          : cpu.nmis_in_kernel;
        where.fetch_add(1, std::memory_order_relaxed);
    }
    if (vector == kVectorSync || vector == kVectorFlush) cpu.work();
    handle(cpu, frame);
    if (nmi || vector >= kFirstInterrupt) cpu.check_seen();
    if (was_user) cpu.accept();
}

}  // namespace guest
