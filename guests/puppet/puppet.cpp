// SPDX-License-Identifier: GPL-2.0-or-later
// Test guest: a puppet. It knows nothing of IPI deferral; the driver tells each
// CPU what to do, a line at a time on the first serial port, and gets a line
// back.
//
//   CPU OP [ARG]...     run OP on that CPU and answer when it is done
//   CPU !OP [ARG]...    start it and answer at once; end it with "CPU wait"
//
// All numbers are hexadecimal. Answers: "= VALUE...", "gp" when the operation
// raised #GP, "? WHY" when the line makes no sense. An exception that nobody
// expects is reported as "! exception ..." and stops the CPU. kOperations says
// what there is.
//
// A CPU is named by its APIC ID; those above 30 all by 1f, so have one at most.
#include "guests/puppet/loops.hpp"
#include "guests/puppet/svm.hpp"
#include "guests/runtime/apic.hpp"
#include "guests/runtime/output.hpp"

namespace guest {
namespace {

constexpr unsigned kMostArgs = 6;
constexpr unsigned kLineBytes = 128;
constexpr u8 kVectorWake = 0xf0;  // there is a command for you
constexpr u8 kVectorTick = 0xf1;  // the first CPU looks at the line
constexpr u32 kLargestXapicId = 254;
constexpr u32 kAboutAMillisecond = 1'000'000;

struct Puppet;

struct Operation {
    const char* name;
    unsigned args;
    unsigned results;
    void (*run)(Puppet& self);  // on the CPU itself
};

struct alignas(64) Puppet : Cpu {
    /// The first CPU fills the mailbox in and sets this, the CPU clears it.
    std::atomic<const Operation*> todo;
    u32 arg[kMostArgs];
    // Of the last one that was done.
    u32 result[4];
    unsigned results;
    bool faulted;
    /// Interrupts are off between commands, too.
    bool masked;
};

void write_xapic_icr(u32 high, u32 low)
{
    word_at(kApicPage + kApicIcrHigh * 16) = high;
    word_at(kApicPage + kApicIcr * 16) = low;
}

void write_msr(Puppet& self, u32 msr, u32 high, u32 low)
{
    self.faulted = !try_wrmsr(msr, u64{high} << 32 | low);
}

void read_msr(Puppet& self)
{
    u64 value;
    self.faulted = !try_rdmsr(self.arg[0], value);
    self.result[0] = static_cast<u32>(value >> 32);
    self.result[1] = static_cast<u32>(value);
}

/// What tests/instructions counts between; nothing else takes note of it.
void mark() { asm volatile("xchg %%bx, %%bx" : : : "memory"); }

void spam(Puppet& self)
{
    const auto& [mode, high, low, count, pause, unused] = self.arg;
    mark();
    for (u32 i = 0; i < count; ++i) {
        if (mode != 0)
            (void)try_wrmsr(kMsrX2apic + kApicIcr, u64{high} << 32 | low);
        else
            write_xapic_icr(high, low);
        // Leave the target some time to get on, now more, now less.
        pause_for(i & pause);
    }
    mark();
}

void ring(Puppet& self)
{
    const auto& [msr, high, low, count, pause, unused] = self.arg;
    mark();
    for (u32 i = 0; i < count; ++i) {
        write_msr(self, msr, high, low);
        pause_for(i & pause);
    }
    mark();
}

/// In ring 0 or in ring 3.
void toggle(Puppet& self)
{
    const u32 word = self.arg[0], accept = self.arg[1], stop = self.arg[2];
    u32 rounds = 0, found = 0, bits = 0;
    for (; word_at(stop) == 0; ++rounds) {
        // Stay in each state for different times.
        exchange(word, accept);
        pause_for(rounds & 31);
        const u32 added = exchange(word, 0) & ~accept;
        found += added != 0;
        bits |= added;
        pause_for(rounds & 15);
    }
    self.result[0] = rounds;
    self.result[1] = found;
    self.result[2] = bits;
}

void toggle_in_user(Puppet& self)
{
    run_in_user(
        self,
        [](u64 puppet, u64) {
            toggle(*reinterpret_cast<Puppet*>(puppet));
            leave_user();
        },
        reinterpret_cast<u64>(&self), 0);
    if (!self.masked) irqs_on();
}

void flip(Puppet& self)
{
    for (u32 i = 0; i < self.arg[3]; ++i) {
        outl(static_cast<u16>(self.arg[0]), self.arg[1 + (i & 1)]);
        pause_for(self.arg[4]);
    }
}

void watch(Puppet& self)
{
    u32 reads = 0, others = 0;
    for (; word_at(self.arg[2]) == 0; ++reads) {
        others += word_at(self.arg[0]) != self.arg[1];
        pause_for(self.arg[3]);
    }
    self.result[0] = reads;
    self.result[1] = others;
}

/// Take what has been sent to this CPU. Interrupts are enabled, but that does
/// not say that a pending one hits at the next instruction: not under a KVM
/// that emulates ring 0. It does so at an exit, and is gone from the IRR then.
void settle(const Puppet& self, u8 vector)
{
    if (self.masked) return;
    for (unsigned i = 0; i < 3; ++i) inb(kCom1Status);
    while (apic_bit(self, kApicIrr, vector)) inb(kCom1Status);
}

void taken(Puppet& self)
{
    const auto vector = static_cast<u8>(self.arg[0]);
    settle(self, vector);
    self.result[0] = static_cast<u32>(self.taken[vector].load());
}

void read_port(Puppet& self)
{
    const auto port = static_cast<u16>(self.arg[0]);
    self.result[0] = self.arg[1] == 4 ? inl(port) : inb(port);
}

void write_port(Puppet& self)
{
    const auto port = static_cast<u16>(self.arg[0]);
    if (self.arg[1] == 4)
        outl(port, self.arg[2]);
    else
        outb(port, static_cast<u8>(self.arg[2]));
}

void write_pages(Puppet& self)
{
    for (u32 i = 0; i < self.arg[1]; ++i)
        word_at(self.arg[0] + 4096 * i) = self.arg[2];
}

void call(Puppet& self)
{
    self.result[0] = reinterpret_cast<u32 (*)()>(u64{self.arg[0]})();
}

void clear(Puppet& self)
{
    for (auto& count : self.taken) count.store(0);
}

void inject(Puppet& self)
{
    const auto vector = static_cast<u8>(self.arg[0]);
    u32 odd = 0;
    for (u32 i = 0; i < self.arg[1]; ++i)
        odd += !run_nested({self.arg[2], vector});
    self.result[0] = odd;
}

void open_windows(Puppet& self)
{
    u32 odd = 0;
    self.result[0] = repeat_until(self.arg[0], [&] {
        irqs_off();
        odd += !run_nested({});
        irqs_on();
    });
    if (self.masked) irqs_off();
    self.result[1] = odd;
}

void check_gif(Puppet& self)
{
    const auto seen = check_global_interrupts(
        self, static_cast<u8>(self.arg[0]), self.arg[1]);
    self.result[0] = seen.early;
    self.result[1] = seen.overdue;
}

/// As when tasks switch.
void restore_fpu(Puppet& self)
{
    u32 environment[7];  // 28 bytes (SDM volume 1, 8.1.10)
    asm volatile("fnstenv %0" : "=m"(environment));
    self.result[0] = repeat_until(self.arg[0], [&] {
        asm volatile("fldenv %0" : : "m"(environment));
    });
}

/// QEMU's TCG has all other vCPUs leave their loops while it does one of these.
void add_over_a_boundary(Puppet& self)
{
    self.result[0] = repeat_until(self.arg[1], [&] {
        asm volatile("lock addl $1, %0" : "+m"(word_at(self.arg[0])));
    });
}

extern Puppet g_puppets[kSlots];

void send_one_by_one(Puppet& self)
{
    const u32 to = self.arg[0], vector = self.arg[1];
    const std::atomic<u64>& taken = g_puppets[to].taken[vector];
    g_patience = u64{self.arg[3]} * kAboutAMillisecond;
    u32 sent = 0;
    bool arrives = true;
    for (; arrives && sent < self.arg[2]; ++sent) {
        const u64 before = taken.load();
        send_ipi(self, to, kIcrAssert | vector);
        arrives = wait_for([&] { return taken.load() != before; });
    }
    self.result[0] = sent;
    self.result[1] = arrives;
}

// clang-format off
constexpr Operation kOperations[] = {
    // LEAF SUB -> EAX EBX ECX EDX
    {"cpuid", 2, 4, [](Puppet& p) { cpuid(p.arg[0], p.arg[1], p.result); }},
    {"rdmsr", 1, 2, read_msr},      // MSR -> HIGH LOW
    // MSR HIGH LOW
    {"wrmsr", 3, 0, [](Puppet& p) { write_msr(p, p.arg[0], p.arg[1], p.arg[2]); }},
    // ADDR -> VALUE
    {"r32", 1, 1, [](Puppet& p) { p.result[0] = word_at(p.arg[0]); }},
    // ADDR VALUE
    {"w32", 2, 0, [](Puppet& p) { word_at(p.arg[0]) = p.arg[1]; }},
    {"pages", 3, 0, write_pages},   // ADDR COUNT VALUE: into the first word of each
    // ADDR VALUE -> OLD
    {"xchg", 2, 1, [](Puppet& p) { p.result[0] = exchange(p.arg[0], p.arg[1]); }},
    {"call", 1, 1, call},           // ADDR -> EAX after calling the code there
    {"in", 2, 1, read_port},        // PORT BYTES -> VALUE
    {"out", 3, 0, write_port},      // PORT BYTES VALUE
    // HIGH LOW: write the xAPIC's ICR
    {"icr", 2, 0, [](Puppet& p) { write_xapic_icr(p.arg[0], p.arg[1]); }},
    {"taken", 1, 1, taken},         // VECTOR -> interrupts that this CPU took
    {"clear", 0, 0, clear},         // forget what was taken
    // What the CPU does with interrupts between commands.
    {"cli", 0, 0, [](Puppet& p) { p.masked = true; }},
    {"sti", 0, 0, [](Puppet& p) { p.masked = false; }},
    // ID: INIT and SIPI to the CPU with this APIC ID
    {"start", 1, 0, [](Puppet& p) { start_cpus(p, p.arg[0]); }},
    // MODE HIGH LOW COUNT PAUSE: write the ICR COUNT times, as xAPIC MMIO (MODE 0)
    // or x2APIC MSR (MODE 1)
    {"spam", 5, 0, spam},
    {"ring", 5, 0, ring},           // MSR HIGH LOW COUNT PAUSE: write the MSR
    // ADDR ACCEPT STOP: store ACCEPT, then exchange it for 0, again and again until
    // the word at STOP is not 0 -> rounds, how often a bit had been added, OR of them
    {"toggle", 3, 3, toggle},
    {"toggle3", 3, 3, toggle_in_user},  // the same in ring 3
    {"flip", 5, 0, flip},           // PORT ONE OTHER COUNT PAUSE: by turns
    // ADDR VALUE STOP PAUSE: read the word until the one at STOP is not 0 -> reads,
    // how many were not VALUE
    {"watch", 4, 2, watch},
    // VECTOR COUNT SPIN: run a nested guest so often, with the vector injected; it spins
    // -> how often it ended in another way
    {"inject", 3, 1, inject},
    // STOP: run one that exits since it could take an interrupt, until the word at STOP
    // is not 0 -> how often, how often it ended in another way
    {"windows", 1, 2, open_windows},
    // VECTOR ROUNDS: to itself with GIF clear -> taken too early, not taken once GIF is set
    {"gif", 2, 2, check_gif},
    {"fldenv", 1, 1, restore_fpu},  // STOP: until the word there is not 0 -> how often
    // ADDR STOP: locked additions at ADDR, which may lie across a boundary -> how many
    {"add", 2, 1, add_over_a_boundary},
    // ID VECTOR COUNT TIMEOUT: IPIs to another puppet, the next once the last was taken,
    // in so many milliseconds or so -> how many were sent, whether all were taken
    {"one-by-one", 4, 2, send_one_by_one},
    {"wait", 0, 0, nullptr},
};
// clang-format on

/// The one that `text` begins with, or nullptr; moves `text` behind it.
const Operation* find_operation(const char*& text)
{
    for (const Operation& each : kOperations) {
        const char *at = text, *name = each.name;
        while (*name != 0 && *at == *name) {
            ++at;
            ++name;
        }
        if (*name == 0 && (*at == 0 || *at == ' ')) {
            text = at;
            return &each;
        }
    }
    return nullptr;
}

/// What the mailbox says, on the CPU itself.
void execute(Puppet& self)
{
    const Operation* const operation = self.todo.load();
    self.faulted = false;
    self.results = operation->results;
    operation->run(self);
    self.todo.store(nullptr);
}

constinit Puppet g_puppets[kSlots]{};

void skip_blanks(const char*& text)
{
    while (*text == ' ') ++text;
}

/// Moves `text` behind the number. @return false: there is none
bool read_number(const char*& text, u32& value)
{
    skip_blanks(text);
    const char* const begin = text;
    value = 0;
    for (;; ++text) {
        if (*text >= '0' && *text <= '9')
            value = value << 4 | static_cast<u32>(*text - '0');
        else if (*text >= 'a' && *text <= 'f')
            value = value << 4 | static_cast<u32>(*text - 'a' + 10);
        else
            return text != begin && (*text == 0 || *text == ' ');
    }
}

void answer(const Puppet& puppet)
{
    if (puppet.faulted) {
        print("gp\n");
        return;
    }
    print("=");
    for (unsigned i = 0; i < puppet.results; ++i) {
        print(" ");
        print(puppet.result[i], 16);
    }
    print("\n");
}

void wait_until_done(Puppet& self, Puppet& puppet)
{
    while (puppet.todo.load() != nullptr) {
        if (&puppet == &self)
            execute(self);
        else
            halt();
    }
}

/// @return nullptr, or what is wrong with the line
const char* obey(Puppet& self, const char* text)
{
    u32 id;
    if (!read_number(text, id) || id >= kSlots) return "no such CPU";
    Puppet& puppet = g_puppets[id];
    skip_blanks(text);
    const bool later = *text == '!';
    if (later) ++text;
    const Operation* const operation = find_operation(text);
    if (operation == nullptr) return "no such operation";
    u32 args[kMostArgs] = {};
    for (unsigned n = 0; n < operation->args; ++n)
        if (!read_number(text, args[n])) return "bad or missing number";
    skip_blanks(text);
    if (*text != 0) return "too many numbers";
    if (puppet.online.load() == 0) return "CPU is not running";

    // All but "wait" are run.
    if (operation->run != nullptr) {
        if (puppet.todo.load() != nullptr) return "CPU is busy";
        for (unsigned n = 0; n < operation->args; ++n) puppet.arg[n] = args[n];
        puppet.todo.store(operation);
        if (&puppet != &self)
            send_ipi(self, puppet.id, kIcrAssert | kVectorWake);
    }
    if (later) {
        print("=\n");
        return nullptr;
    }
    wait_until_done(self, puppet);
    answer(puppet);
    return nullptr;
}

[[noreturn]] void serve(Puppet& self)
{
    static char line[kLineBytes];
    print("ready\n");
    for (;;) {
        unsigned n = 0;
        for (char c; (c = get()) != '\n';)
            if (n < sizeof(line) - 1) line[n++] = c;
        line[n] = 0;
        if (const char* const why = obey(self, line); why != nullptr) {
            print("? ");
            print(why);
            print("\n");
        }
    }
}

[[noreturn]] void lead(Puppet& self)
{
    // No interrupts from the PICs.
    outb(0x21, 0xff);
    outb(0xa1, 0xff);
    start_serial();
    start_cpus(self, 0, kIcrOthers);
    apic_write(self, kApicTimerDivide, kTimerUndivided);
    apic_write(self, kApicLvtTimer, kTimerPeriodic | kVectorTick);
    apic_write(self, kApicTimerCount, kAboutAMillisecond);
    irqs_on();
    serve(self);
}

[[noreturn]] void follow(Puppet& self)
{
    for (;;) {
        irqs_off();
        if (self.todo.load() != nullptr) {
            if (!self.masked) irqs_on();
            execute(self);
        } else if (self.masked) {
            relax();
        } else {
            halt_until_interrupt();
        }
    }
}

}  // namespace

Cpu& cpu_in(unsigned slot) { return g_puppets[slot]; }

void run(Cpu& cpu, bool first)
{
    auto& self = static_cast<Puppet&>(cpu);
    // An xAPIC has no way to say a larger ID.
    start_apic(self, self.id > kLargestXapicId);
    self.todo.store(nullptr);
    self.masked = false;
    self.online.store(1);
    if (first) lead(self);
    follow(self);
}

void trap(Cpu& cpu, Frame& frame) { handle(cpu, frame); }

}  // namespace guest
