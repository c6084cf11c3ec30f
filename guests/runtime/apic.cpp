// SPDX-License-Identifier: GPL-2.0-or-later
#include "guests/runtime/apic.hpp"

namespace guest {

u32 apic_read(const Cpu& self, u32 reg)
{
    return self.x2apic ? static_cast<u32>(rdmsr(kMsrX2apic + reg))
                       : word_at(kApicPage + reg * 16);
}

void apic_write(const Cpu& self, u32 reg, u32 value)
{
    if (self.x2apic)
        wrmsr(kMsrX2apic + reg, value);
    else
        word_at(kApicPage + reg * 16) = value;
}

bool apic_bit(const Cpu& self, u32 first_reg, u8 vector)
{
    return (apic_read(self, first_reg + vector / 32) >> vector % 32 & 1) != 0;
}

void send_ipi(const Cpu& self, u32 dest, u32 low)
{
    if (self.x2apic) {
        wrmsr(kMsrX2apic + kApicIcr, u64{dest} << 32 | low);
    } else {
        apic_write(self, kApicIcrHigh, dest << 24);
        apic_write(self, kApicIcr, low);
    }
}

void start_cpus(const Cpu& self, u32 dest, u32 shorthand)
{
    send_ipi(self, dest, shorthand | kIcrAssert | kIcrInit);
    send_ipi(self, dest,
             shorthand | kIcrAssert | kIcrSipi | GUEST_AP_START >> 12);
}

void start_apic(Cpu& self, bool x2apic)
{
    u64 base = rdmsr(kMsrApicBase);
    if (x2apic) {
        base |= kApicBaseX2;
        wrmsr(kMsrApicBase, base);
    }
    note_apic_mode(self, base);
    apic_write(self, kApicSvr, 0x100 | kVectorSpurious);
}

}  // namespace guest
