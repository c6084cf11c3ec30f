// SPDX-License-Identifier: GPL-2.0-or-later
// Guests that mean no good (I7): words and tables where there is no memory,
// storms of registrations and of ICR writes, a word and a table that change
// while senders run. Each checks that it got nowhere, and that honest use still
// works.
#include "guests/scenarios/scenarios.hpp"

namespace guest::scenarios {
namespace {

constexpr u64 kBootInfo = 0xd000'0000;  // read-only
constexpr u64 kNoMemory = 0xc000'0000;  // where RAM never reaches
std::atomic<u32> g_stop{0};
std::atomic<u64> g_attempts{0}, g_accepted{0};

u32 random(u32& state)
{
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

/// Still good for something?
void expect_sane()
{
    isolate(1);
    for (unsigned i = 0; i < 20; ++i) synchronise(g_cpus[1], kVectorSync);
    release(1);
}

void expect_refused(u64 value, const char* what)
{
    u64 before = 0, after = 0;
    expect(try_rdmsr(IPI_DEFER_MSR_REGISTER, before), "rdmsr faults");
    if (try_wrmsr(IPI_DEFER_MSR_REGISTER, value)) fail(what);
    expect(try_rdmsr(IPI_DEFER_MSR_REGISTER, after), "rdmsr faults");
    expect(before == after, "a refused registration changed something");
}

void with_word(u64 gpa, const char* what)
{
    Cpu& cpu = g_cpus[0];
    cpu.fill_table();
    cpu.table[1].word_gpa = gpa;
    expect_refused(cpu.registration(), what);
}

void register_wildly(Cpu& self)
{
    u32 state = 0x9e37'79b9u + self.id;
    while (g_stop.load() == 0) {
        self.fill_table();
        const u32 dice = random(state);
        const u32 fault = dice & 7;  // mostly none
        if (fault == 0) self.table[0].word_gpa = kNoMemory;
        if (fault == 1) self.table[1].work_bit = random(state);
        if (fault == 2) self.table[0].accept_mask = random(state);
        if (fault == 3) self.table[0].vector = static_cast<u8>(random(state));
        g_attempts.fetch_add(1);
        if (try_wrmsr(IPI_DEFER_MSR_REGISTER,
                      (dice & 0x100) != 0 ? 0 : self.registration()))
            g_accepted.fetch_add(1);
    }
    unregister_cpu();
}

/// On one CPU: change another one's word and table under its registration.
void rewrite_word_of_cpu_1(Cpu&)
{
    Cpu& victim = g_cpus[1];
    u32 state = 0x2545'f491;
    u32 last = 0;
    while (g_stop.load() == 0) {
        const u32 dice = random(state);
        u32 value = (dice & 1) != 0 ? kCtxUser : dice & ~kWork;
        const u32 written = value;
        asm volatile("xchgl %0, %1"
                     : "+r"(value), "+m"(victim.word)
                     :
                     : "memory");
        // I2: what came between is work bits, and nothing else.
        if ((value & ~kWork) != (last & ~kWork))
            fail("a word was changed in more than its work bits");
        if ((value & kWork) != 0 && (last & kCtxMask) != kCtxUser)
            fail("work was recorded in a word that did not accept");
        last = written;
        victim.table[dice >> 8 & 7].word_gpa = u64{random(state)} << 20;
        victim.table[dice >> 12 & 7].work_bit = random(state);
    }
    victim.word.store(kCtxKernel);
}

}  // namespace

void bad_registrations()
{
    Cpu& cpu = g_cpus[0];
    const u64 last = ~u64{0};
    const u64 enabled = cpu.registration();

    // Without, and then with a registration to lose.
    for (unsigned pass = 0; pass < 2; ++pass) {
        with_word(kApicPage, "a word in the APIC's page was accepted");
        with_word(kApicPage + 0x300, "the ICR was accepted as a word");
        with_word(kBootInfo, "a read-only word was accepted");
        with_word(kNoMemory, "a word without memory was accepted");
        with_word(last - 3, "the last word of all was accepted");
        with_word(u64{1} << 52, "a word beyond physical memory was accepted");
        for (u64 off = 1; off < 4; ++off)
            with_word(reinterpret_cast<u64>(&cpu.word) + off,
                      "an unaligned word was accepted");

        cpu.fill_table();
        expect_refused(enabled | 2, "reserved bits were accepted");
        expect_refused(enabled & ~u64{IPI_DEFER_REG_ENABLE},
                       "a value without the enable bit was accepted");
        expect_refused(cpu.registration(0), "no binding was accepted");
        expect_refused(cpu.registration(9), "nine bindings were accepted");
        const u64 two =
            u64{2} << IPI_DEFER_REG_COUNT_SHIFT | IPI_DEFER_REG_ENABLE;
        expect_refused(kApicPage | two, "a table in MMIO was accepted");
        expect_refused(kNoMemory | two, "a table without memory was accepted");
        expect_refused((last & IPI_DEFER_REG_GPA_MASK) | two,
                       "a table at the end of all was accepted");
        // Readable, but no bindings.
        expect_refused(kBootInfo | two, "boot information was accepted");

        cpu.table[0].vector = 0x1f;
        expect_refused(enabled, "an exception's vector was accepted");
        cpu.fill_table();
        cpu.table[1].vector = cpu.table[0].vector;
        expect_refused(enabled, "a vector was accepted twice");
        cpu.fill_table();
        cpu.table[0].accept_mask |= cpu.table[1].work_bit;
        expect_refused(enabled, "a mask with a work bit was accepted");
        cpu.fill_table();
        if (pass == 0)
            expect(try_wrmsr(IPI_DEFER_MSR_REGISTER, enabled),
                   "a good registration was refused");
    }
    u64 value = 0;
    expect(try_rdmsr(IPI_DEFER_MSR_REGISTER, value) && value == enabled,
           "the register does not read as written");
    expect(try_wrmsr(IPI_DEFER_MSR_REGISTER, 0), "cannot unregister");
    expect(!try_wrmsr(IPI_DEFER_MSR_ICR, kVectorSync),
           "there is a doorbell, but no feature bit");
}

void registration_storm()
{
    start_all();
    give_from(1, register_wildly);
    const u64 rounds = option("rounds", 300);
    for (u64 i = 0; i < rounds; ++i) send_ipi(0, typed_vector(i) | kIcrOthers);
    await("no registration gets through",
          [] { return g_accepted.load() >= 20; });
    g_stop.store(1);
    finish_from(1);
    print_values({{"attempts", g_attempts.load()},
                  {"accepted", g_accepted.load()},
                  {"sent", rounds * (g_cpu_count - 1)}});
    expect_sane();
}

void rewrite_storm()
{
    start_all();
    isolate(1);
    // CPU 1 registers, and goes to sleep for all it knows.
    release(1);
    do_on(1, [](Cpu& self) {
        self.word.store(0);
        register_cpu(self);
    });
    give(2, rewrite_word_of_cpu_1);
    const u64 rounds = option("rounds", 1000);
    for (u64 i = 0; i < rounds; ++i) send_ipi(1, typed_vector(i));
    g_stop.store(1);
    finish(2);
    print_values({{"sent", rounds}});
    // What was delivered is one interrupt per vector, at most, by now.
    do_on(1, [](Cpu&) {
        unregister_cpu();
        open_window();
    });
    expect_sane();
}

void icr_storm()
{
    start_all();
    const u64 rounds = option("rounds", 1500);
    u32 state = 0x6c07'8965;
    u64 refused = 0;
    for (u64 i = 0; i < rounds; ++i) {
        // Anything at all, to a CPU that is not there.
        const u32 low = random(state) & ~(kIcrOthers | kIcrLogical);
        const u32 absent = 0xe0 + (i & 15);
        if (g_x2apic) {
            const u32 reserved = low & 0xfff3'3000;
            const bool good =
                try_wrmsr(kMsrX2apic + kApicIcr, u64{absent} << 32 | low);
            refused += !good;
            expect(good == (reserved == 0),
                   "reserved bits of the ICR are not what decides on #GP");
        } else {
            send_ipi(absent, low);
        }
        // Modes that do not exist, to one that is there.
        const u32 mode = (i & 1) != 0 ? 3u << 8 : 7u << 8;
        send_ipi(1, mode | kVectorSync);
        // A vector that no interrupt may have.
        send_ipi(1, static_cast<u32>(i & 15));
    }
    // The error is latched by a write.
    const Cpu& self = g_cpus[0];
    apic_write(self, kApicEsr, 0);
    expect((apic_read(self, kApicEsr) & 0x20) != 0,
           "an illegal vector leaves no trace in ESR");
    print_values({{"refused", refused}});
    give_from(1, [](Cpu& cpu) {
        open_window();
        for (const auto& count : cpu.taken)
            expect(count.load() == 0, "an illegal or misdirected IPI arrived");
    });
    finish_from(1);
    expect_sane();
}

}  // namespace guest::scenarios
