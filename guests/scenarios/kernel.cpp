// SPDX-License-Identifier: GPL-2.0-or-later
// The kernel of the test guest: CPUs, traps, entry and exit.
#include "guests/scenarios/kernel.hpp"

namespace guest {
namespace {

constexpr u64 kStackBytes = 16384;  // as in start.S
constexpr u64 kApStart = 0x8000;
constexpr u64 kApicPage = 0xfee0'0000;
constexpr u32 kMsrApicBase = 0x1b;
constexpr u32 kMsrX2apic = 0x800;
constexpr u64 kApicBaseX2 = 1u << 10;
constexpr u16 kCodeSelector = 0x08;
constexpr u16 kTssSelector = 0x28;
constexpr unsigned kRing = 3;  // CS[1:0]

struct [[gnu::packed]] Gate {
    u16 offset_low;
    u16 selector;
    u8 ist;
    u8 type;
    u16 offset_middle;
    u32 offset_high;
    u32 reserved;
};
struct [[gnu::packed]] TableRegister {
    u16 limit;
    u64 base;
};

alignas(16) Gate g_idt[256];
bool g_flush_on_entry = true;
bool g_nmi_flushes = true;

void fill_idt()
{
    for (unsigned v = 0; v < 256; ++v) {
        const u64 stub = reinterpret_cast<u64>(stubs) + 16 * v;
        g_idt[v] = {static_cast<u16>(stub),
                    kCodeSelector,
                    0,
                    0x8e,
                    static_cast<u16>(stub >> 16),
                    static_cast<u32>(stub >> 32),
                    0};
    }
}

void load_tables(Cpu& cpu)
{
    const u64 tss = reinterpret_cast<u64>(&cpu.tss.reserved0);
    cpu.tss.io_map = kTssBytes;
    cpu.gdt[0] = 0;
    cpu.gdt[1] = 0x00af'9b00'0000'ffff;
    cpu.gdt[2] = 0x00cf'9300'0000'ffff;
    cpu.gdt[3] = 0x00cf'f300'0000'ffff;  // user data
    cpu.gdt[4] = 0x00af'fb00'0000'ffff;  // user code
    cpu.gdt[5] = (kTssBytes - 1) | (tss & 0xff'ffff) << 16 | u64{0x89} << 40 |
                 (tss >> 24 & 0xff) << 56;
    cpu.gdt[6] = tss >> 32;
    const TableRegister gdt{sizeof(cpu.gdt) - 1,
                            reinterpret_cast<u64>(cpu.gdt)};
    const TableRegister idt{sizeof(g_idt) - 1, reinterpret_cast<u64>(g_idt)};
    asm volatile("lgdt %0" : : "m"(gdt));
    asm volatile("lidt %0" : : "m"(idt));
    asm volatile("ltr %w0" : : "r"(kTssSelector));
}

void set_up(u32 id)
{
    Cpu& cpu = g_cpus[id];
    cpu.id = id;
    load_tables(cpu);
    if (g_x2apic) wrmsr(kMsrApicBase, rdmsr(kMsrApicBase) | kApicBaseX2);
    apic_write(kApicSvr, 0x100 | kVectorSpurious);
}

/// The work itself. I9: what is published as done was requested before it
/// began.
void work(Cpu& cpu)
{
    const u64 requested = cpu.requested.load();
    cpu.seen.store(g_version.load());
    cpu.flushes.fetch_add(1, std::memory_order_relaxed);
    cpu.done.store(requested);
}

/// The entry atomic: the word stops accepting. @return whether it did accept
bool stop_accepting(Cpu& cpu)
{
    bool was_user;
    asm volatile("lock btrl $1, %0"
                 : "+m"(cpu.word), "=@ccc"(was_user)
                 :
                 : "memory");
    return was_user;
}

/// First thing of every trap. I10: bits stay in the word until the exit, so
/// that an NMI in between sees them, and flushes first.
bool enter_kernel(Cpu& cpu, bool nmi)
{
    const bool was_user = stop_accepting(cpu);
    if (was_user) cpu.in_entry = 1;
    if (was_user && cpu.hold_entry.load() == kHold) {
        const u64 before = cpu.taken[kVectorNmi].load();
        cpu.hold_entry.store(kHolding);
        expect(wait_for([&] { return cpu.taken[kVectorNmi].load() != before; }),
               "no NMI came between entry and flush");
        cpu.hold_entry.store(kNoHold);
    }
    const bool pending = (cpu.word.load() & kWork) != 0;
    if (pending && g_flush_on_entry && (!nmi || g_nmi_flushes)) work(cpu);
    if (was_user) cpu.in_entry = 0;
    return was_user;
}

/// Last thing of a trap from user code. I9: the owner clears the bits, while
/// the word does not accept, so nobody sets any.
void exit_to_user(Cpu& cpu)
{
    u32 user = kCtxUser;
    asm volatile("xchgl %0, %1" : "+r"(user), "+m"(cpu.word) : : "memory");
}

void interrupt(Cpu& cpu, u8 vector)
{
    cpu.taken[vector].fetch_add(1, std::memory_order_relaxed);
    if (vector == kVectorSync || vector == kVectorFlush) work(cpu);
    if (vector != kVectorSpurious) apic_write(kApicEoi, 0);
}

void nmi(Cpu& cpu, bool from_ring3, bool in_entry)
{
    cpu.taken[kVectorNmi].fetch_add(1, std::memory_order_relaxed);
    auto& where = from_ring3 ? cpu.nmis_in_user
                  : in_entry ? cpu.nmis_in_entry
                             : cpu.nmis_in_kernel;
    where.fetch_add(1, std::memory_order_relaxed);
    check_seen(cpu);
}

[[noreturn]] void bad_trap(const Frame& frame)
{
    print("exception ");
    print(frame.vector);
    print(" error ");
    print(frame.error);
    print(" at ");
    print(frame.rip);
    print("\n");
    end(1);
}

void idle_loop(Cpu& cpu)
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

}  // namespace

Cpu g_cpus[kMostCpus];
unsigned g_cpu_count = 1;
bool g_x2apic = true;
u64 g_patience = 0;
std::atomic<u64> g_version{0};

Cpu& this_cpu()
{
    u64 rsp;
    asm volatile("mov %%rsp, %0" : "=r"(rsp));
    // A push at the very top lies in this stack, not in the next one.
    return g_cpus[(rsp - 1 - reinterpret_cast<u64>(stacks)) / kStackBytes];
}

u64 tsc()
{
    u32 low, high;
    asm volatile("rdtsc" : "=a"(low), "=d"(high));
    return u64{high} << 32 | low;
}

u64 rdmsr(u32 msr)
{
    u32 low, high;
    asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return u64{high} << 32 | low;
}

void wrmsr(u32 msr, u64 value)
{
    asm volatile("wrmsr"
                 :
                 : "a"(static_cast<u32>(value)),
                   "d"(static_cast<u32>(value >> 32)), "c"(msr)
                 : "memory");
}

bool try_wrmsr(u32 msr, u64 value)
{
    Cpu& cpu = this_cpu();
    cpu.faulted = 0;
    u64 scratch;
    asm volatile(
        "lea 1f(%%rip), %0\n\t"
        "mov %0, %1\n\t"
        "wrmsr\n"
        "1: movq $0, %1"
        : "=&r"(scratch), "=m"(cpu.recover)
        : "a"(static_cast<u32>(value)), "d"(static_cast<u32>(value >> 32)),
          "c"(msr)
        : "memory");
    return cpu.faulted == 0;
}

bool try_rdmsr(u32 msr, u64& value)
{
    Cpu& cpu = this_cpu();
    cpu.faulted = 0;
    u64 scratch;
    u32 low = 0, high = 0;
    asm volatile(
        "lea 1f(%%rip), %0\n\t"
        "mov %0, %1\n\t"
        "rdmsr\n"
        "1: movq $0, %1"
        : "=&r"(scratch), "=m"(cpu.recover), "+a"(low), "+d"(high)
        : "c"(msr)
        : "memory");
    value = u64{high} << 32 | low;
    return cpu.faulted == 0;
}

u32 apic_read(u32 reg)
{
    if (g_x2apic) return static_cast<u32>(rdmsr(kMsrX2apic + reg));
    return *reinterpret_cast<volatile u32*>(kApicPage + reg * 16);
}

void apic_write(u32 reg, u32 value)
{
    if (g_x2apic)
        wrmsr(kMsrX2apic + reg, value);
    else
        *reinterpret_cast<volatile u32*>(kApicPage + reg * 16) = value;
}

void send_ipi(u32 dest, u32 low)
{
    if (g_x2apic) {
        wrmsr(kMsrX2apic + kApicIcr, u64{dest} << 32 | low);
    } else {
        apic_write(kApicIcrHigh, dest << 24);
        apic_write(kApicIcr, low);
    }
}

void start_cpu(unsigned id)
{
    Cpu& cpu = g_cpus[id];
    cpu.online.store(0);
    cpu.job = nullptr;
    cpu.busy.store(0);
    send_ipi(id, kIcrInit | kIcrAssert);
    send_ipi(id, kIcrSipi | kIcrAssert | kApStart >> 12);
    expect(wait_for([&] { return cpu.online.load() != 0; }),
           "a CPU did not start");
}

void start_all()
{
    for (unsigned id = 1; id < g_cpu_count; ++id) start_cpu(id);
}

void give(unsigned id, void (*job)(Cpu&))
{
    g_cpus[id].busy.store(1);
    g_cpus[id].job = job;
}

void finish(unsigned id)
{
    expect(wait_for([id] { return g_cpus[id].busy.load() == 0; }),
           "a CPU did not finish");
}

bool contract_found()
{
    u32 eax = IPI_DEFER_CPUID_DEFAULT, ebx, ecx = 0, edx;
    asm volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    if (ebx != IPI_DEFER_SIGNATURE_EBX || ecx != IPI_DEFER_SIGNATURE_ECX ||
        edx != IPI_DEFER_SIGNATURE_EDX)
        return false;
    eax = IPI_DEFER_CPUID_DEFAULT + 1;
    ecx = 0;
    asm volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    return eax == IPI_DEFER_VERSION && (ebx & IPI_DEFER_F_ICR) != 0;
}

void fill_table(Cpu& cpu)
{
    for (unsigned i = 0; i < kBindings; ++i) {
        ipi_defer_binding& binding = cpu.table[i];
        binding = {};
        binding.word_gpa = reinterpret_cast<u64>(&cpu.word);
        binding.accept_mask = kCtxMask;
        binding.accept_value = kCtxUser;
        binding.work_bit = i == 0 ? kWorkSync : kWorkFlush;
        binding.state_mask = kCtxMask;
        binding.state_user = kCtxUser;
        binding.state_guest = kCtxGuest;
        binding.state_idle = kCtxIdle;
        binding.vector = i == 0 ? kVectorSync : kVectorFlush;
    }
}

u64 register_value(const Cpu& cpu, unsigned bindings)
{
    return reinterpret_cast<u64>(cpu.table) |
           u64{bindings} << IPI_DEFER_REG_COUNT_SHIFT | IPI_DEFER_REG_ENABLE;
}

void enter_user(Cpu& cpu, void (*code)(), u64 argument)
{
    irqs_off();
    exit_to_user(cpu);
    to_user(&cpu.tss.rsp[0], reinterpret_cast<u64>(code),
            reinterpret_cast<u64>(cpu.user_stack + sizeof(cpu.user_stack)),
            reinterpret_cast<u64>(&cpu.user_loops), argument);
    check_seen(cpu);
}

void enter_user_until_stopped(Cpu& cpu)
{
    enter_user(cpu, user_until, reinterpret_cast<u64>(&cpu.stop));
}

void check_seen(Cpu& cpu)
{
    // must_see first: seen only grows, and grows before it.
    const u64 must = cpu.must_see.load();
    if (cpu.seen.load() < must)
        fail("kernel code ran on an isolated CPU before the work it relies on");
}

bool synchronise(Cpu& target, u8 vector)
{
    const u32 bit = vector == kVectorSync ? kWorkSync : kWorkFlush;
    const u64 version = g_version.fetch_add(1) + 1;
    const u64 mine = target.requested.fetch_add(1) + 1;
    send_ipi(target.id, vector);
    const bool safe = wait_for([&] {
        if (target.done.load() >= mine) return true;
        const u32 word = target.word.load();
        return (word & kCtxMask) == kCtxUser && (word & bit) != 0;
    });
    if (!safe) return false;
    u64 must = target.must_see.load();
    while (must < version &&
           !target.must_see.compare_exchange_weak(must, version)) {
    }
    return true;
}

}  // namespace guest

// ---- From start.S

using namespace guest;

extern "C" void trap(Frame* frame)
{
    Cpu& cpu = this_cpu();
    const auto vector = static_cast<u8>(frame->vector);
    const bool in_entry = cpu.in_entry != 0;
    const bool was_user = enter_kernel(cpu, vector == kVectorNmi);
    const bool from_ring3 = (frame->cs & kRing) == kRing;
    if (was_user) cpu.entries_from_user.fetch_add(1, std::memory_order_relaxed);

    if (vector == kVectorNmi) {
        nmi(cpu, from_ring3, in_entry);
    } else if (vector >= 32) {
        interrupt(cpu, vector);
        check_seen(cpu);
    } else if (vector == kVectorUd && from_ring3) {
        from_user(cpu.tss.rsp[0]);
    } else if (vector == kVectorGp && cpu.recover != 0) {
        cpu.faulted = 1;
        frame->rip = cpu.recover;
    } else {
        bad_trap(*frame);
    }
    if (was_user) exit_to_user(cpu);
}

extern "C" [[noreturn]] void first_cpu(u32 id)
{
    g_cpu_count = static_cast<unsigned>(option("cpus", 1));
    g_patience = option("patience", 60'000) * 1'000'000;
    g_x2apic = !option_is("apic", "x");
    g_flush_on_entry = option("omit-flush", 0) == 0;
    g_nmi_flushes = option("omit-nmi-flush", 0) == 0;
    if (g_cpu_count > kMostCpus) fail("more CPUs than this guest can have");
    fill_idt();
    set_up(id);
    auto* to = reinterpret_cast<char*>(kApStart);
    for (const char* from = start_ap_begin; from < start_ap_end; ++from, ++to)
        *static_cast<volatile char*>(to) = *from;
    g_cpus[0].online.store(1);
    const Scenario scenario = scenario_of_command_line();
    if (scenario == nullptr) fail("no such scenario");
    scenario();
    print("== end\n");
    end(0);
}

extern "C" [[noreturn]] void other_cpu(u32 id)
{
    set_up(id);
    idle_loop(g_cpus[id]);
    end(1);
}
