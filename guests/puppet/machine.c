/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guests/puppet/machine.h"

/* What common_stub leaves on the stack. */
struct frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
    uint64_t rdi, rsi, rbp, rbx, rdx, rcx, rax;
    uint64_t vector, error, rip, cs, rflags, rsp, ss;
};

struct gate {
    uint16_t offset_low, selector, type, offset_mid;
    uint32_t offset_high, reserved;
};

struct tss {
    uint32_t reserved;
    uint64_t rsp0;
    uint8_t rest[104 - 12];
} __attribute__((packed));

struct gate idt[256];
struct cpu cpus[kMaxCpus];
static struct tss tss[kMaxCpus];
static uint64_t user_stack[kMaxCpus][64] __attribute__((aligned(16)));

extern char stubs[], stacks[];
extern uint64_t gdt_tss[];
void interrupt(struct frame *frame);
void enter_user(void (*fn)(void *), void *arg, void *stack, void *kernel_stack);
void leave_user(uint64_t kernel_stack) __attribute__((noreturn));

/* ---- The machine ------------------------------------------------------ */

void outb(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

void outl(uint16_t port, uint32_t value)
{
    __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

uint8_t inb(uint16_t port)
{
    uint8_t value;

    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

void cpuid(uint32_t leaf, uint32_t sub, uint32_t out[4])
{
    __asm__ volatile("cpuid"
                     : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3])
                     : "a"(leaf), "c"(sub));
}

/* Whose stack is this? In ring 0 only. */
static struct cpu *this_cpu(void)
{
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);

    return &cpus[(here - (uintptr_t)stacks) / kStackBytes];
}

/* An instruction that may raise #GP; the handler goes on at label 1. */
#define MAY_FAULT(cpu, code, ...)                                          \
    do {                                                                   \
        (cpu)->gp = 0;                                                     \
        __asm__ volatile("movl $1f, %[recover]\n\t" code "\n"              \
                         "1: movl $0, %[recover]" __VA_ARGS__);            \
    } while (0)

uint64_t rdmsr(struct cpu *cpu, uint32_t msr)
{
    uint32_t low = 0, high = 0;

    MAY_FAULT(cpu, "rdmsr", : "+a"(low), "+d"(high),
              [recover] "=m"(cpu->recover) : "c"(msr) : "memory");
    return (uint64_t)high << 32 | low;
}

void wrmsr(struct cpu *cpu, uint32_t msr, uint32_t high, uint32_t low)
{
    MAY_FAULT(cpu, "wrmsr", : [recover] "=m"(cpu->recover)
              : "a"(low), "d"(high), "c"(msr) : "memory");
}

static int in_x2apic(struct cpu *cpu)
{
    return (uint32_t)rdmsr(cpu, kMsrApicBase) & kApicBaseX2;
}

void apic_write(struct cpu *cpu, uint32_t reg, uint32_t value)
{
    if (in_x2apic(cpu)) {
        wrmsr(cpu, kMsrX2Apic + reg, 0, value);
    } else {
        mmio_write(APIC_MMIO + reg * 16, value);
    }
}

uint32_t apic_read(struct cpu *cpu, uint32_t reg)
{
    return in_x2apic(cpu) ? (uint32_t)rdmsr(cpu, kMsrX2Apic + reg)
                          : mmio_read(APIC_MMIO + reg * 16);
}

void send_ipi(struct cpu *cpu, uint32_t dest, uint32_t low)
{
    if (in_x2apic(cpu)) {
        wrmsr(cpu, kMsrX2Apic + kApicIcrLow, dest, low);
    } else {
        mmio_write(APIC_MMIO + kApicIcrHigh * 16, dest << 24);
        mmio_write(APIC_MMIO + kApicIcrLow * 16, low);
    }
}

/* ---- Serial port ------------------------------------------------------ */

void put(const char *s)
{
    for (; *s; s++) {
        while (!(inb(kCom1 + 5) & kLsrEmpty)) {
        }
        outb(kCom1, (uint8_t)*s);
    }
}

void put_hex(uint32_t value)
{
    char digits[9];
    int i = 8;

    digits[i] = 0;
    do {
        digits[--i] = "0123456789abcdef"[value & 15];
        value >>= 4;
    } while (value);
    put(digits + i);
}

char get(void)
{
    while (!(inb(kCom1 + 5) & kLsrData)) {
        __asm__ volatile("hlt");
    }
    return (char)inb(kCom1);
}

/* ---- Interrupts ------------------------------------------------------- */

void interrupt(struct frame *frame)
{
    struct cpu *cpu = this_cpu();
    uint32_t recover = cpu->recover;

    if (frame->vector == kVectorGp && recover) {
        cpu->gp = 1;
        frame->rip = recover;
        return;
    }
    if (frame->vector == kVectorUd && (frame->cs & 3)) {
        leave_user(tss[cpu - cpus].rsp0);
    }
    if (frame->vector < 32 && frame->vector != kVectorNmi) {
        put("! exception ");
        put_hex((uint32_t)frame->vector);
        put(" at ");
        put_hex((uint32_t)frame->rip);
        put("\n");
        for (;;) {
            __asm__ volatile("cli; hlt");
        }
    }

    cpu->taken[frame->vector]++;
    if (frame->vector != kVectorNmi && frame->vector != kVectorSpurious) {
        /* Must not disturb an rdmsr or wrmsr that may fault. */
        uint32_t gp = cpu->gp;

        apic_write(cpu, kApicEoi, 0);
        cpu->gp = gp;
        cpu->recover = recover;
    }
}

void fill_idt(void)
{
    for (unsigned v = 0; v < 256; v++) {
        uintptr_t stub = (uintptr_t)stubs + 16 * v;

        idt[v] = (struct gate) {
            .offset_low = (uint16_t)stub,
            .selector = kCodeSegment,
            .type = 0x8e00,
            .offset_mid = (uint16_t)(stub >> 16),
        };
    }
}

void load_tss(unsigned slot)
{
    uint64_t base = (uintptr_t)&tss[slot];

    gdt_tss[2 * slot] = (sizeof(tss[0]) - 1) | (base & 0xffffff) << 16 |
                        0x89ull << 40 | (base >> 24) << 56;
    gdt_tss[2 * slot + 1] = 0;
    __asm__ volatile("ltr %w0" : : "r"(kFirstTss + 16 * slot) : "memory");
}

void run_in_user(struct cpu *cpu, void (*fn)(void *))
{
    unsigned slot = (unsigned)(cpu - cpus);

    /* The stack as after a call. */
    enter_user(fn, cpu, &user_stack[slot][63], &tss[slot].rsp0);
    if (!cpu->masked) {
        __asm__ volatile("sti");
    }
}
