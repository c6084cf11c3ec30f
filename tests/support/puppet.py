# SPDX-License-Identifier: GPL-2.0-or-later
"""Drive the test guest (guests/puppet/puppet.cpp) over its serial port."""
import struct
import time

from tests.support import configurations
from tests.support.contract import (ASSERT, MSR_APIC_BASE, MSR_ICR, MSR_ICR_MULTI,
                                    MSR_REGISTER, MSR_X2APIC_ICR, OTHER, PLAIN, REQUEST,
                                    VECTOR, binding, msr, table, word)
from tests.support.machine import TIMEOUT, Failed, Machine

CPU_HOTPLUG = 0xaf00    # ports of ACPI's CPU hot-plug, of the machine 'pc'
SHORTHAND = 3 << 18     # of the ICR
BROADCAST = 0xffffffff
MULTICAST_IDS = 448     # that one request names


class Refused(Exception):
    """The guest got #GP."""


class Puppet(Machine):
    """A QEMU with the puppet in it; guest=None starts none."""

    def __init__(self, qemu, guest, *args, boot=True,
                 configuration=configurations.DEFAULT, **kwargs):
        """@param boot: wait until the guest has come up"""
        self._boots = boot and guest is not None
        self.configuration = configuration
        kwargs.setdefault("accel", configuration.accelerator)
        super().__init__(qemu, guest, *args, **kwargs)

    def started(self):
        if not self._boots:
            return
        self.wait_ready()
        if self.configuration.x2apic:
            for cpu in range(self.online_cpus()):
                self.enable_x2apic(cpu)

    def wait_ready(self):
        deadline = time.monotonic() + TIMEOUT
        while not self.serial.receive(
                max(0, deadline - time.monotonic())).endswith("ready"):
            pass

    def online_cpus(self):
        return len(self.qmp("query-cpus-fast"))

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

    def write_request(self, address, vector, base, *bits):
        """What a multicast names: the IDs that are base and one of these bits."""
        mask = [0] * (MULTICAST_IDS // 64)
        for bit in bits:
            mask[bit // 64] |= 1 << bit % 64
        self.write(address, struct.pack("<II7Q", vector, base, *mask))

    def ring_multi(self, cpu, address, vector, base, *bits):
        """The same for many, with the request at this address."""
        self.write_request(address, vector, base, *bits)
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

    def enable_x2apic(self, cpu):
        base = self.rdmsr(cpu, MSR_APIC_BASE)
        self.wrmsr(cpu, MSR_APIC_BASE, base | 1 << 10)

    def assert_gp(self, cpu, number, value):
        """That a write to an MSR is refused."""
        try:
            self.wrmsr(cpu, number, value)
        except Refused:
            return
        raise AssertionError(f"MSR {number:#x} took {value:#x}")

    def register(self, cpu, *bindings):
        """Write a table and register it on its CPU; default: one binding."""
        bindings = bindings or (binding(word(cpu)),)
        self.write(table(cpu), b"".join(bindings))
        self.wrmsr(cpu, MSR_REGISTER, msr(table(cpu), len(bindings)))

    # -- IPIs -----------------------------------------------------------------

    def icr(self, low, dest=0, cpu=0):
        """A write to the ICR, whatever the guest is offered."""
        if self.configuration.x2apic:
            self.wrmsr(cpu, MSR_X2APIC_ICR, dest << 32 | low)
        else:
            self.tell(cpu, "icr", dest << 24, low)

    def send(self, low, dest=0, cpu=0):
        """The same, the way of the configuration.

        @param low: the lower half of the ICR
        """
        way = self.configuration.way
        if way == "icr":
            self.icr(low, dest, cpu)
        elif way == "doorbell" or low & SHORTHAND or dest == BROADCAST:
            self.ring(cpu, dest << 32 | low)
        else:
            base = max(0, dest - MULTICAST_IDS + 1)
            self.ring_multi(cpu, REQUEST, low & 0xff, base, dest - base)

    def ipi(self, dest, vector=VECTOR, cpu=0):
        self.send(ASSERT | vector, dest, cpu)

    # -- devices --------------------------------------------------------------

    def outl(self, port, value):
        self.tell(0, "out", port, 4, value)

    def outb(self, port, value):
        self.tell(0, "out", port, 1, value)

    def select(self, register, slot=0, function=0):
        """Which word of PCI configuration space 0xcfc to 0xcff are."""
        self.outl(0xcf8, 0x80000000 | slot << 11 | function << 8 | register)

    def configure(self, slot, register, value):
        """Write to PCI configuration space."""
        self.select(register, slot)
        self.outl(0xcfc, value)

    def map_bar(self, slot, address):
        """Have the memory of a device there, which BAR 2 is of (ivshmem)."""
        self.configure(slot, 0x18, address)
        self.configure(slot, 0x1c, 0)
        self.configure(slot, 4, 2)

    def legacy_hotplug_off(self):
        """To the ACPI CPU hot-plug registers that can eject."""
        self.outl(CPU_HOTPLUG, 0)

    def eject(self, cpu):
        """What a guest's AML does when a vCPU is to go."""
        self.outl(CPU_HOTPLUG, cpu)
        self.outb(CPU_HOTPLUG + 4, 8)

    def pam(self, address, mode):
        """q35: where reads (1) and writes (2) of a 16 KiB piece go."""
        offset = 0x91 + (address - 0xc0000) // 0x8000
        shift = 4 if address & 0x4000 else 0
        self.select(offset & ~3)
        value = self.tell(0, "in", 0xcfc + offset % 4, 1)[0]
        value = value & ~(3 << shift) | mode << shift
        self.outb(0xcfc + offset % 4, value)


class SharedPuppet(Puppet):
    """One guest for many tests."""

    before = {}

    def fresh(self):
        """As after a start, as far as tests can tell."""
        for name, value in (("enabled", True), ("isolated-cpus", [2, 3]),
                            ("vectors", list(range(32, 255))),
                            ("user", True), ("guest", True), ("idle", True)):
            self.set(name, value)
        for cpu in range(4):
            self.tell(cpu, "sti")
            self.wrmsr(cpu, MSR_REGISTER, 0)
            self.tell(cpu, "clear")
            self.w32(word(cpu), 0)
            self.w32(word(cpu) + 64, 0)
        self.before = {}
        self.before = {(cpu, vector): self.counters(cpu, vector)
                       for cpu in range(4) for vector in (VECTOR, OTHER, PLAIN)}

    def counters(self, cpu, vector):
        """Since then."""
        before = self.before.get((cpu, vector), {})
        now = super().counters(cpu, vector)
        return {k: v - before.get(k, 0) for k, v in now.items()
                if v != before.get(k, 0)}
