# SPDX-License-Identifier: GPL-2.0-or-later
"""The contract between guest and VMM, and where the tests' guests keep what is theirs.

Spelt out here on purpose: a slip in the header must show.
"""
import struct

MSR_REGISTER = 0x49504900
MSR_ICR = 0x49504901
MSR_ICR_MULTI = 0x49504902
CPUID_BASE = 0x40000400
SIGNATURE = struct.unpack("<III", b"IpiDeferVMM\0")
MSR_APIC_BASE = 0x1b
MSR_X2APIC_ICR = 0x830
MSR_X2APIC_SELF = 0x83f

MIB = 1 << 20
TABLE = 4 * MIB         # CPU n's at TABLE + 0x100 * n
WORDS = 5 * MIB         # CPU n's at WORDS + 0x1000 * n
CODE = 6 * MIB
REQUEST = 7 * MIB
VECTOR = 0xeb
OTHER = 0xec            # a second typed vector
PLAIN = 0x50            # never registered
ACCEPT = 1
BIT = 0x100
BIT2 = 0x200

# ICR, low half
ASSERT = 1 << 14
LEVEL = 1 << 15
LOGICAL = 1 << 11
LOWEST, SMI, NMI, INIT, SIPI = (m << 8 for m in (1, 2, 4, 5, 6))
SELF, ALL, OTHERS = (s << 18 for s in (1, 2, 3))


def binding(address, vector=VECTOR, mask=ACCEPT, value=ACCEPT, bit=BIT,
            state_mask=0, shift=0, user=0, guest=0, idle=0, reserved=b"\0\0\0"):
    """A row of a table, for the word at this address."""
    return struct.pack("<QIIIIBBBBB3s", address, mask, value, bit, state_mask,
                       shift, vector, user, guest, idle, reserved)


def word(cpu):
    return WORDS + 0x1000 * cpu


def table(cpu):
    return TABLE + 0x100 * cpu


def msr(gpa, count, enable=1):
    """What registers a table of so many rows."""
    return gpa | count << 4 | enable
