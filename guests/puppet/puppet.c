/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Test guest: a puppet. It knows nothing of IPI deferral; the driver tells
 * each CPU what to do, a line at a time on the first serial port, and gets a
 * line back.
 *
 *   CPU OP [ARG]...     run OP on that CPU and answer when it is done
 *   CPU !OP [ARG]...    start it and answer at once; end it with "CPU wait"
 *
 * All numbers are hexadecimal. Answers: "= VALUE...", "gp" when the operation
 * raised #GP, "? WHY" when the line makes no sense. An exception that nobody
 * expects is reported as "! exception ..." and stops the CPU.
 *
 *   cpuid LEAF SUB      -> EAX EBX ECX EDX
 *   rdmsr MSR           -> HIGH LOW
 *   wrmsr MSR HIGH LOW
 *   r32 ADDR            -> VALUE
 *   w32 ADDR VALUE
 *   pages ADDR COUNT VALUE  VALUE into the first word of COUNT pages
 *   xchg ADDR VALUE     -> OLD
 *   call ADDR           -> EAX after calling the code there
 *   in PORT BYTES       -> VALUE
 *   out PORT BYTES VALUE
 *   icr HIGH LOW        write the xAPIC's ICR
 *   taken VECTOR        -> interrupts of this vector this CPU took
 *   clear               forget what was taken
 *   cli, sti            what the CPU does with interrupts between commands
 *   start ID            INIT and SIPI to the CPU with this APIC ID
 *   spam MODE HIGH LOW COUNT    write the ICR COUNT times, as xAPIC MMIO
 *                       (MODE 0) or x2APIC MSR (MODE 1)
 *   ring MSR HIGH LOW COUNT PAUSE   write the MSR COUNT times
 *   toggle ADDR ACCEPT STOP     store ACCEPT, then exchange it for 0, again
 *                       and again until the word at STOP is not 0 -> rounds,
 *                       how often a bit had been added, OR of them
 *   toggle3 ADDR ACCEPT STOP    the same in ring 3
 *   flip PORT ONE OTHER COUNT PAUSE    four bytes to the port, by turns
 *   watch ADDR VALUE STOP PAUSE read the word until the one at STOP is not 0
 *                       -> reads, how many were not VALUE
 *
 * A CPU is named by its APIC ID; those above 30 all by 1f, so have one at most.
 */
#include "guests/puppet/machine.h"

enum op {
    OP_NONE, OP_CPUID, OP_RDMSR, OP_WRMSR, OP_R32, OP_W32, OP_PAGES, OP_XCHG, OP_CALL,
    OP_IN, OP_OUT, OP_ICR, OP_TAKEN, OP_CLEAR, OP_CLI, OP_STI, OP_START,
    OP_SPAM, OP_RING, OP_TOGGLE, OP_TOGGLE3, OP_FLIP, OP_WATCH, OP_WAIT,
};

static const struct {
    const char *name;
    enum op op;
    unsigned args;
} ops[] = {
    { "cpuid", OP_CPUID, 2 }, { "rdmsr", OP_RDMSR, 1 },
    { "wrmsr", OP_WRMSR, 3 }, { "r32", OP_R32, 1 },
    { "w32", OP_W32, 2 },     { "pages", OP_PAGES, 3 },
    { "xchg", OP_XCHG, 2 },
    { "call", OP_CALL, 1 },   { "in", OP_IN, 2 },
    { "out", OP_OUT, 3 },     { "icr", OP_ICR, 2 },
    { "taken", OP_TAKEN, 1 }, { "clear", OP_CLEAR, 0 },
    { "cli", OP_CLI, 0 },     { "sti", OP_STI, 0 },
    { "start", OP_START, 1 }, { "spam", OP_SPAM, 5 },
    { "ring", OP_RING, 5 },
    { "toggle", OP_TOGGLE, 3 }, { "toggle3", OP_TOGGLE3, 3 },
    { "flip", OP_FLIP, 5 }, { "watch", OP_WATCH, 4 },
    { "wait", OP_WAIT, 0 },
};

static char line[kLineBytes];

extern char start_ap_begin[], start_ap_end[];
void cpu_main(uint32_t id, uint32_t slot);

/* ---- Operations ------------------------------------------------------- */

static void pause_for(uint32_t rounds)
{
    for (uint32_t i = 0; i < rounds; i++) {
        __asm__ volatile("" : : : "memory");
    }
}

static void spam(struct cpu *cpu)
{
    uint32_t high = cpu->arg[1], low = cpu->arg[2];

    for (uint32_t i = 0; i < cpu->arg[3]; i++) {
        if (cpu->arg[0]) {
            wrmsr(cpu, kMsrX2Apic + kApicIcrLow, high, low);
        } else {
            mmio_write(APIC_MMIO + kApicIcrHigh * 16, high);
            mmio_write(APIC_MMIO + kApicIcrLow * 16, low);
        }
        /* Leave the target some time to get on, now more, now less. */
        pause_for(i & cpu->arg[4]);
    }
}

static void ring(struct cpu *cpu)
{
    for (uint32_t i = 0; i < cpu->arg[3]; i++) {
        wrmsr(cpu, cpu->arg[0], cpu->arg[1], cpu->arg[2]);
        pause_for(i & cpu->arg[4]);
    }
}

static uint32_t exchange(uint32_t address, uint32_t value)
{
    __asm__ volatile("xchgl %0, (%1)" : "+r"(value)
                     : "r"((uintptr_t)address) : "memory");
    return value;
}

/* In ring 0 or in ring 3. */
static void toggle(struct cpu *cpu)
{
    uint32_t found = 0, bits = 0, i;

    for (i = 0; !mmio_read(cpu->arg[2]); i++) {
        uint32_t old;

        /* Stay in each state for different times. */
        exchange(cpu->arg[0], cpu->arg[1]);
        pause_for(i & 31);
        old = exchange(cpu->arg[0], 0) & ~cpu->arg[1];
        found += old != 0;
        bits |= old;
        pause_for(i & 15);
    }
    cpu->result[0] = i;
    cpu->result[1] = found;
    cpu->result[2] = bits;
    cpu->results = 3;
}

static void toggle_in_user(void *cpu)
{
    toggle(cpu);
    __asm__ volatile("ud2");
}

static void toggle3(struct cpu *cpu)
{
    run_in_user(cpu, toggle_in_user);
}

static void flip(struct cpu *cpu)
{
    for (uint32_t i = 0; i < cpu->arg[3]; i++) {
        outl((uint16_t)cpu->arg[0], cpu->arg[1 + (i & 1)]);
        pause_for(cpu->arg[4]);
    }
}

static void watch(struct cpu *cpu)
{
    cpu->result[0] = cpu->result[1] = 0;
    while (!mmio_read(cpu->arg[2])) {
        cpu->result[0]++;
        cpu->result[1] += mmio_read(cpu->arg[0]) != cpu->arg[1];
        pause_for(cpu->arg[3]);
    }
    cpu->results = 2;
}

/*
 * Take what has been sent to this CPU. Interrupts are enabled, but that does
 * not say that a pending one hits at the next instruction: not under a KVM
 * that emulates ring 0. It does so at an exit, and is gone from the IRR then.
 */
static void settle(struct cpu *cpu, uint32_t vector)
{
    if (cpu->masked) {
        return;
    }
    for (int i = 0; i < 3; i++) {
        inb(kCom1 + 5);
    }
    while (apic_read(cpu, kApicIrr + vector / 32) >> (vector & 31) & 1) {
        inb(kCom1 + 5);
    }
}

static void start(struct cpu *cpu, uint32_t id)
{
    send_ipi(cpu, id, 0x4500);
    send_ipi(cpu, id, 0x4600 | kApStart >> 12);
}

/* Run the operation in the CPU's mailbox, on the CPU itself. */
static void execute(struct cpu *cpu)
{
    uint32_t *a = cpu->arg, *r = cpu->result;
    uint64_t value;

    cpu->results = 0;
    cpu->faulted = 0;
    switch ((enum op)cpu->op) {
    case OP_CPUID:
        cpuid(a[0], a[1], r);
        cpu->results = 4;
        break;
    case OP_RDMSR:
        value = rdmsr(cpu, a[0]);
        cpu->faulted = cpu->gp;
        r[0] = (uint32_t)(value >> 32);
        r[1] = (uint32_t)value;
        cpu->results = 2;
        break;
    case OP_WRMSR:
        wrmsr(cpu, a[0], a[1], a[2]);
        cpu->faulted = cpu->gp;
        break;
    case OP_R32:
        r[0] = mmio_read(a[0]);
        cpu->results = 1;
        break;
    case OP_W32:
        mmio_write(a[0], a[1]);
        break;
    case OP_PAGES:
        for (uint32_t i = 0; i < a[1]; i++) {
            mmio_write(a[0] + 4096 * i, a[2]);
        }
        break;
    case OP_XCHG:
        r[0] = exchange(a[0], a[1]);
        cpu->results = 1;
        break;
    case OP_CALL:
        r[0] = ((uint32_t (*)(void))(uintptr_t)a[0])();
        cpu->results = 1;
        break;
    case OP_IN:
        if (a[1] == 4) {
            __asm__ volatile("inl %w1, %0" : "=a"(r[0]) : "Nd"(a[0]));
        } else {
            r[0] = inb((uint16_t)a[0]);
        }
        cpu->results = 1;
        break;
    case OP_OUT:
        if (a[1] == 4) {
            outl((uint16_t)a[0], a[2]);
        } else {
            outb((uint16_t)a[0], (uint8_t)a[2]);
        }
        break;
    case OP_ICR:
        mmio_write(APIC_MMIO + kApicIcrHigh * 16, a[0]);
        mmio_write(APIC_MMIO + kApicIcrLow * 16, a[1]);
        break;
    case OP_TAKEN:
        settle(cpu, a[0] & 255);
        r[0] = cpu->taken[a[0] & 255];
        cpu->results = 1;
        break;
    case OP_CLEAR:
        for (unsigned v = 0; v < 256; v++) {
            cpu->taken[v] = 0;
        }
        break;
    case OP_CLI:
        cpu->masked = 1;
        break;
    case OP_STI:
        cpu->masked = 0;
        break;
    case OP_START:
        start(cpu, a[0]);
        break;
    case OP_SPAM:
        spam(cpu);
        break;
    case OP_RING:
        ring(cpu);
        cpu->faulted = cpu->gp;
        break;
    case OP_TOGGLE:
        toggle(cpu);
        break;
    case OP_TOGGLE3:
        toggle3(cpu);
        break;
    case OP_FLIP:
        flip(cpu);
        break;
    case OP_WATCH:
        watch(cpu);
        break;
    case OP_NONE:
    case OP_WAIT:
        break;
    }
    __asm__ volatile("" : : : "memory");
    cpu->op = OP_NONE;
}

/* ---- The first CPU: lines --------------------------------------------- */

static const char *number(const char *s, uint32_t *out)
{
    const char *begin = s;

    *out = 0;
    for (;; s++) {
        if (*s >= '0' && *s <= '9') {
            *out = *out << 4 | (uint32_t)(*s - '0');
        } else if (*s >= 'a' && *s <= 'f') {
            *out = *out << 4 | (uint32_t)(*s - 'a' + 10);
        } else {
            return s == begin || (*s && *s != ' ') ? NULL : s;
        }
    }
}

static const char *blanks(const char *s)
{
    while (*s == ' ') {
        s++;
    }
    return s;
}

/* Length of the name at s, or 0. */
static unsigned matches(const char *s, const char *name)
{
    unsigned n = 0;

    while (name[n] && s[n] == name[n]) {
        n++;
    }
    return name[n] || (s[n] && s[n] != ' ') ? 0 : n;
}

static void wait_for(struct cpu *self, struct cpu *cpu)
{
    while (cpu->op != OP_NONE) {
        if (cpu == self) {
            execute(cpu);
        } else {
            __asm__ volatile("hlt");
        }
    }
}

static void answer(const struct cpu *cpu)
{
    if (cpu->faulted) {
        put("gp\n");
        return;
    }
    put("=");
    for (unsigned i = 0; i < cpu->results; i++) {
        put(" ");
        put_hex(cpu->result[i]);
    }
    put("\n");
}

/* @return NULL, or what is wrong with the line. */
static const char *obey(struct cpu *self, const char *s)
{
    uint32_t id, arg[kMaxArgs];
    unsigned i, length = 0;
    struct cpu *cpu;
    int later;

    s = number(blanks(s), &id);
    if (!s || id >= kMaxCpus) {
        return "no such CPU";
    }
    cpu = &cpus[id];
    s = blanks(s);
    later = *s == '!';
    s += later;
    for (i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        length = matches(s, ops[i].name);
        if (length) {
            break;
        }
    }
    if (!length) {
        return "no such operation";
    }
    s += length;
    for (unsigned n = 0; n < ops[i].args; n++) {
        s = number(blanks(s), &arg[n]);
        if (!s) {
            return "bad or missing number";
        }
    }
    if (*blanks(s)) {
        return "too many numbers";
    }
    if (!cpu->online) {
        return "CPU is not running";
    }

    if (ops[i].op != OP_WAIT) {
        if (cpu->op != OP_NONE) {
            return "CPU is busy";
        }
        for (unsigned n = 0; n < ops[i].args; n++) {
            cpu->arg[n] = arg[n];
        }
        __asm__ volatile("" : : : "memory");
        cpu->op = ops[i].op;
        if (cpu != self) {
            send_ipi(self, cpu->id, 0x4000 | kVectorWake);
        }
    }
    if (later) {
        put("=\n");
        return NULL;
    }
    wait_for(self, cpu);
    answer(cpu);
    return NULL;
}

static void serve(struct cpu *self)
{
    put("ready\n");
    for (;;) {
        const char *why;
        unsigned n = 0;
        char c;

        while ((c = get()) != '\n') {
            if (n < sizeof(line) - 1) {
                line[n++] = c;
            }
        }
        line[n] = 0;
        why = obey(self, line);
        if (why) {
            put("? ");
            put(why);
            put("\n");
        }
    }
}

static void start_others(struct cpu *self)
{
    for (char *from = start_ap_begin, *to = (char *)(uintptr_t)kApStart;
         from < start_ap_end; from++, to++) {
        *to = *from;
    }
    /* All but self. */
    send_ipi(self, 0, 0xc4500);
    send_ipi(self, 0, 0xc4600 | kApStart >> 12);
}

void cpu_main(uint32_t id, uint32_t slot)
{
    struct cpu *self = &cpus[slot];
    uint64_t base = rdmsr(self, kMsrApicBase);
    int first = (uint32_t)base >> 8 & 1;

    if (first) {
        outb(0x21, 0xff);
        outb(0xa1, 0xff);
        /* FIFO, 14 bytes: QEMU fills it that far; else a tick per byte. */
        outb(kCom1 + 2, 0xc1);
        fill_idt();
    }
    load_tss(slot);
    if (id > 254) {
        /* An xAPIC has no way to say this ID. */
        wrmsr(self, kMsrApicBase, (uint32_t)(base >> 32),
              (uint32_t)base | kApicBaseX2);
    }
    apic_write(self, kApicSvr, 0x100 | kVectorSpurious);
    self->id = id;
    self->op = OP_NONE;
    self->masked = 0;
    self->online = 1;

    if (first) {
        start_others(self);
        /* About a millisecond. */
        apic_write(self, kApicTimerDivide, 0xb);
        apic_write(self, kApicLvtTimer, 0x20000 | kVectorTick);
        apic_write(self, kApicTimerCount, 1000000);
        __asm__ volatile("sti");
        serve(self);
    }

    for (;;) {
        __asm__ volatile("cli");
        if (self->op == OP_NONE) {
            if (self->masked) {
                __asm__ volatile("pause");
            } else {
                /* No interrupt between the two. */
                __asm__ volatile("sti; hlt");
            }
            continue;
        }
        if (!self->masked) {
            __asm__ volatile("sti");
        }
        execute(self);
    }
}
