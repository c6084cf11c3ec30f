// SPDX-License-Identifier: GPL-2.0-or-later
// The processor as a freestanding guest uses it: ports, CPUID, MSRs, the TSC,
// the interrupt flag.
#pragma once

#include <cstdint>

namespace guest {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;

inline void outb(u16 port, u8 value)
{
    asm volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}
inline void outl(u16 port, u32 value)
{
    asm volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}
inline u8 inb(u16 port)
{
    u8 value;
    asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}
inline u32 inl(u16 port)
{
    u32 value;
    asm volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

/// EAX, EBX, ECX, EDX.
inline void cpuid(u32 leaf, u32 sub, u32 (&out)[4])
{
    asm volatile("cpuid"
                 : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3])
                 : "a"(leaf), "c"(sub));
}

inline u64 rdmsr(u32 msr)
{
    u32 low, high;
    asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return u64{high} << 32 | low;
}
inline void wrmsr(u32 msr, u64 value)
{
    asm volatile("wrmsr"
                 :
                 : "a"(static_cast<u32>(value)),
                   "d"(static_cast<u32>(value >> 32)), "c"(msr)
                 : "memory");
}
/// @return false: it raised #GP.
bool try_rdmsr(u32 msr, u64& value);
bool try_wrmsr(u32 msr, u64 value);

inline u64 tsc()
{
    u32 low, high;
    asm volatile("rdtsc" : "=a"(low), "=d"(high));
    return u64{high} << 32 | low;
}

inline volatile u32& word_at(u64 address)
{
    return *reinterpret_cast<volatile u32*>(address);
}

inline void relax() { asm volatile("pause" ::: "memory"); }
inline void irqs_on() { asm volatile("sti" ::: "memory"); }
inline void irqs_off() { asm volatile("cli" ::: "memory"); }
inline bool irqs_are_on()
{
    u64 flags;
    asm volatile("pushfq; pop %0" : "=r"(flags));
    return (flags >> 9 & 1) != 0;
}
inline void halt() { asm volatile("hlt" ::: "memory"); }
/// No interrupt comes between the first two.
inline void halt_until_interrupt()
{
    asm volatile("sti; hlt; cli" ::: "memory");
}

/// How long a wait may take, in TSC ticks.
extern u64 g_patience;
/// Until `done` says so; false after g_patience.
template <typename Done>
bool wait_for(Done done)
{
    const u64 end_at = tsc() + g_patience;
    while (!done()) {
        if (tsc() > end_at) return false;
        relax();
    }
    return true;
}

}  // namespace guest
