#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of words whose memory turns out to be inaccessible, as a page does that is
poisoned: an access is a SIGBUS. QEMU must not die of a look at a word that the
guest itself has no use for just now.

    test_inaccessible.py [-v] [CLASS[.TEST]]...

As test_qemu.py, and with the same guest. The page is one of a file that becomes
shorter, which needs no hardware that fails, and no privilege.
"""
import os
import sys
import tempfile
import unittest

import test_qemu
from test_qemu import (ACCEPT, BIT, DOORBELL, MSR_ICR_MULTI, MSR_REGISTER, NO_KVM,
                       OTHER, VECTOR, Base, Kvm, binding, msr, word)
from test_segment import SegmentBase

BAR = 0xe0000000 - 0x200000


class Page:
    """A word in the memory of a device, which is a file."""

    def backed(self):
        """@return options for a machine with the device."""
        self.backing = tempfile.NamedTemporaryFile(prefix="ipidefer-ram-")
        self.addCleanup(self.backing.close)
        return ("-object", "memory-backend-file,id=r0,size=1M,share=on,"
                f"mem-path={self.backing.name}",
                "-device", "ivshmem-plain,memdev=r0,addr=2")

    def bind(self):
        for register, value in (0x18, BAR), (0x1c, 0), (4, 2):
            self.select(register, 2)
            self.outl(0xcfc, value)
        self.m.w32(BAR, ACCEPT)
        self.m.w32(word(3), ACCEPT)
        self.register(3, binding(BAR), binding(word(3), OTHER, bit=1 << 9))

    def poison(self):
        os.truncate(self.backing.name, 0)

    def verify(self):
        """That word is lost, and nothing else."""
        self.ipi(3)
        self.ipi(3, OTHER)
        self.assertEqual(self.m.taken(3, VECTOR), 1)
        self.assertEqual(self.m.taken(3, OTHER), 0)
        self.assertEqual(self.m.r32(word(3)), ACCEPT | 1 << 9)
        first, second = self.m.defer(3)["bindings"]
        self.assertNotIn("word", first)
        self.assertEqual(second["word"], ACCEPT | 1 << 9)
        self.ipi(3)
        self.assertEqual(self.m.taken(3, VECTOR), 2)


class Inaccessible(Page, Base):
    def setUp(self):
        super().setUp()
        self.start(*self.backed())
        self.bind()
        self.ipi(3)
        self.assertEqual(self.m.r32(BAR), ACCEPT | BIT)

    def test_sender_finds_it(self):
        self.poison()
        self.verify()
        self.assertEqual(self.m.counters(3, VECTOR),
                         {"deferred": 1, "delivered-bad-word": 2})

    def test_monitor_finds_it(self):
        self.poison()
        self.assertNotIn("word", self.m.defer(3)["bindings"][0])
        self.verify()


    def test_table_is_refused(self):
        """It is the VMM that reads it, and not the guest."""
        self.m.w32(word(3), ACCEPT)
        self.poison()
        self.assert_gp(3, MSR_REGISTER, msr(BAR, 1))
        # Nothing has changed.
        self.ipi(3, OTHER)
        self.assertEqual(self.m.r32(word(3)), ACCEPT | 1 << 9)


class InaccessibleDoorbell(Inaccessible):
    options = DOORBELL

    def test_request_is_refused(self):
        self.poison()
        self.assert_gp(0, MSR_ICR_MULTI, BAR)
        self.verify()

    def send(self, low, dest=0, cpu=0, machine=None):
        (machine or self.m).ring(cpu, dest << 32 | low)


class InaccessibleKvm(Kvm, InaccessibleDoorbell):
    options = Base.options
    shared = False


class InaccessibleSegment(Page, SegmentBase):
    """The main thread looks at the words ten times a second."""

    def test_tick_finds_it(self):
        self.start("-trace", "ipi_defer_lost", *self.backed())
        self.bind()
        self.assertNotIn("ipi_defer_lost", self.m.output())
        self.poison()
        self.wait_until("no tick has met the word",
                        lambda: "ipi_defer_lost" in self.m.output())
        self.verify()


@unittest.skipIf(NO_KVM, NO_KVM)
class InaccessibleSegmentKvm(InaccessibleSegment):
    accel = "kvm"
    send = Kvm.send


if __name__ == "__main__":
    sys.exit(test_qemu.main())
