/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The machine of the puppet, as it needs it: ports, MSRs that may raise #GP, the local
 * APIC, traps, ring 3, and the first serial port.
 */
#ifndef PUPPET_MACHINE_H
#define PUPPET_MACHINE_H

#include <stddef.h>
#include <stdint.h>

enum {
    kMaxCpus = 32,
    kMaxArgs = 6,
    kLineBytes = 128,
    kStackBytes = 4096,
    kCodeSegment = 0x08,
    kFirstTss = 0x30,     /* of the GDT in start.S */
    kApStart = 0x8000,
    kCom1 = 0x3f8,
    kLsrData = 1,
    kLsrEmpty = 0x20,
    kVectorNmi = 2,
    kVectorUd = 6,
    kVectorGp = 13,
    kVectorWake = 0xf0,   /* there is a command for you */
    kVectorTick = 0xf1,   /* the first CPU looks at the serial port */
    kVectorSpurious = 0xff,
    kMsrApicBase = 0x1b,
    kApicBaseX2 = 1 << 10,
    kMsrX2Apic = 0x800,
    /* Registers of the local APIC: MMIO offset is 16 times this. */
    kApicEoi = 0x0b,
    kApicSvr = 0x0f,
    kApicIrr = 0x20,
    kApicIcrLow = 0x30,
    kApicIcrHigh = 0x31,
    kApicLvtTimer = 0x32,
    kApicTimerCount = 0x38,
    kApicTimerDivide = 0x3e,
};

#define APIC_MMIO 0xfee00000u

struct cpu {
    uint32_t id;
    volatile uint32_t online;
    /* Mailbox: the first CPU fills it in and sets op, the CPU clears op. */
    volatile uint32_t op;
    uint32_t arg[kMaxArgs];
    uint32_t result[4];
    uint32_t results;
    uint32_t faulted;
    /* Where to go on after a #GP; 0: none is expected. */
    volatile uint32_t recover;
    volatile uint32_t gp;
    uint32_t masked;
    volatile uint32_t taken[256];
};

extern struct cpu cpus[kMaxCpus];

void outb(uint16_t port, uint8_t value);
void outl(uint16_t port, uint32_t value);
uint8_t inb(uint16_t port);
void cpuid(uint32_t leaf, uint32_t sub, uint32_t out[4]);

static inline uint32_t mmio_read(uint32_t address)
{
    return *(volatile uint32_t *)(uintptr_t)address;
}

static inline void mmio_write(uint32_t address, uint32_t value)
{
    *(volatile uint32_t *)(uintptr_t)address = value;
}

/* cpu->gp says whether they raised #GP. */
uint64_t rdmsr(struct cpu *cpu, uint32_t msr);
void wrmsr(struct cpu *cpu, uint32_t msr, uint32_t high, uint32_t low);

/* In the mode that the local APIC is in. */
void apic_write(struct cpu *cpu, uint32_t reg, uint32_t value);
uint32_t apic_read(struct cpu *cpu, uint32_t reg);
void send_ipi(struct cpu *cpu, uint32_t dest, uint32_t low);

void put(const char *s);
void put_hex(uint32_t value);
/* Interrupts are enabled; the tick ends the halt. */
char get(void);

void fill_idt(void);
/* Where interrupts from ring 3 find a stack. */
void load_tss(unsigned slot);
/* Runs fn(cpu) in ring 3, until it ends itself with UD2. */
void run_in_user(struct cpu *cpu, void (*fn)(void *));

#endif
