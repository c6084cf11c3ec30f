# SPDX-License-Identifier: GPL-2.0-or-later
"""Drive the test guest (guest/puppet.c) over its serial port."""
import struct
import time

from machine import TIMEOUT, Failed, Machine


MSR_ICR = 0x49504901
MSR_ICR_MULTI = 0x49504902


class Refused(Exception):
    """The guest got #GP."""


class Puppet(Machine):
    """A QEMU with the puppet in it; guest=None starts none."""

    def __init__(self, qemu, guest, *args, boot=True, **kwargs):
        self._boots = boot and guest is not None
        super().__init__(qemu, guest, *args, **kwargs)

    def started(self):
        if self._boots:
            self.wait_ready()

    def wait_ready(self):
        deadline = time.monotonic() + TIMEOUT
        while not self.serial.receive(
                max(0, deadline - time.monotonic())).endswith("ready"):
            pass

    def online_cpus(self):
        return len([c for c in self.qmp("query-cpus-fast")])

    def tell(self, cpu, op, *args):
        """Run an operation on a CPU of the guest; a list of numbers."""
        words = [f"{cpu:x}", op] + [f"{a:x}" for a in args]
        deadline = time.monotonic() + TIMEOUT
        while True:
            self.serial.send(" ".join(words))
            reply = self.serial.receive()
            # A CPU that is still coming up.
            if reply != "? CPU is not running" or time.monotonic() > deadline:
                break
            time.sleep(0.01)
        if reply == "gp":
            raise Refused(" ".join(words))
        if not reply.startswith("="):
            raise Failed(f"{' '.join(words)}: {reply}")
        return [int(w, 16) for w in reply.split()[1:]]

    def cpuid(self, leaf, sub=0, cpu=0):
        return self.tell(cpu, "cpuid", leaf, sub)

    def rdmsr(self, cpu, msr):
        high, low = self.tell(cpu, "rdmsr", msr)
        return high << 32 | low

    def wrmsr(self, cpu, msr, value):
        self.tell(cpu, "wrmsr", msr, value >> 32, value & 0xffffffff)

    def ring(self, cpu, value):
        """Write to the doorbell."""
        self.wrmsr(cpu, MSR_ICR, value)

    def ring_multi(self, cpu, address, vector, base, *bits):
        """The same for many, with the request at this address."""
        mask = [0] * 7
        for bit in bits:
            mask[bit // 64] |= 1 << bit % 64
        self.write(address, struct.pack("<II7Q", vector, base, *mask))
        self.wrmsr(cpu, MSR_ICR_MULTI, address)

    def r32(self, address, cpu=0):
        return self.tell(cpu, "r32", address)[0]

    def w32(self, address, value, cpu=0):
        self.tell(cpu, "w32", address, value)

    def write(self, address, data):
        """Bytes into guest memory, by the first CPU, a word at a time."""
        data += bytes(-len(data) % 4)
        for i in range(0, len(data), 4):
            self.w32(address + i, int.from_bytes(data[i:i + 4], "little"))

    def taken(self, cpu, vector):
        """Interrupts of a vector that a CPU took.

        The answer comes from the CPU itself, which takes what is pending
        before it looks at the command: anything sent before this call has
        been counted.
        """
        return self.tell(cpu, "taken", vector)[0]
