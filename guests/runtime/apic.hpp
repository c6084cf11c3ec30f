// SPDX-License-Identifier: GPL-2.0-or-later
// The local APIC, in the mode that it is in. SDM vol. 3A, chapter 11.
#pragma once

#include "guests/runtime/cpu.hpp"

namespace guest {

inline constexpr u64 kApicPage = 0xfee0'0000;
inline constexpr u32 kMsrApicBase = 0x1b;
inline constexpr u64 kApicBaseX2 = 1u << 10;
inline constexpr u32 kMsrX2apic = 0x800;

/// Registers, by MMIO offset / 16.
enum Apic : u32 {
    kApicId = 0x02,
    kApicTpr = 0x08,
    kApicEoi = 0x0b,
    kApicLdr = 0x0d,
    kApicDfr = 0x0e,
    kApicSvr = 0x0f,
    kApicIsr = 0x10,
    kApicIrr = 0x20,
    kApicEsr = 0x28,
    kApicIcr = 0x30,
    kApicIcrHigh = 0x31,
    kApicLvtTimer = 0x32,
    kApicTimerCount = 0x38,
    kApicTimerNow = 0x39,
    kApicTimerDivide = 0x3e,
};
inline constexpr u32 kTimerMasked = 1u << 16;
inline constexpr u32 kTimerPeriodic = 1u << 17;
inline constexpr u32 kTimerUndivided = 0xb;

// Of the ICR.
inline constexpr u32 kIcrLowest = 1 << 8;
inline constexpr u32 kIcrNmi = 4 << 8;
inline constexpr u32 kIcrInit = 5 << 8;
inline constexpr u32 kIcrSipi = 6 << 8;
inline constexpr u32 kIcrLogical = 1 << 11;
inline constexpr u32 kIcrAssert = 1 << 14;
inline constexpr u32 kIcrSelf = 1 << 18;
inline constexpr u32 kIcrAll = 2 << 18;
inline constexpr u32 kIcrOthers = 3 << 18;

// On the CPU itself.
u32 apic_read(const Cpu& self, u32 reg);
void apic_write(const Cpu& self, u32 reg, u32 value);
/// Of a vector that is pending, or in service: 32 bits for each register.
bool apic_bit(const Cpu& self, u32 first_reg, u8 vector);
/// `dest`: an APIC ID or a logical destination. `low`: as in the ICR.
void send_ipi(const Cpu& self, u32 dest, u32 low);
/// INIT and SIPI, to where the runtime has them begin.
void start_cpus(const Cpu& self, u32 dest, u32 shorthand = 0);
/// `x2apic`: switch to that mode; else it stays as it is.
void start_apic(Cpu& self, bool x2apic);
/// IA32_APIC_BASE has been written. To ask it each time may be an exit.
inline void note_apic_mode(Cpu& self, u64 base)
{
    self.x2apic = (base & kApicBaseX2) != 0;
}

}  // namespace guest
