#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of the doorbell beside whatever else QEMU does.

    test_doorbell.py [-v] [CLASS[.TEST]]...

As test_qemu.py, and with the same guest. IPIDEFER_MEET_IN_MSI, meet_in_msi.c as a
shared object, is what some tests need (skipped without); IPIDEFER_CLI is the
ipidefer command, which sees counts while QEMU's monitor does not answer.
IPIDEFER_RACE_SECONDS is how long each race runs, 8 if it is not set.
IPIDEFER_QEMU_TSAN is what vmm/qemu/build.sh --tsan prints.
"""
import contextlib
import os
import re
import struct
import sys
import tempfile
import time
import unittest
import unittest.mock

import machine
import test_qemu
from machine import TIMEOUT
from puppet import MSR_ICR
from test_qemu import (ACCEPT, BIT, DOORBELL, MSR_REGISTER, NO_KVM, VECTOR,
                       Base, Kvm, binding, msr, table, word)
from test_segment import SegmentBase

MEET = os.environ.get("IPIDEFER_MEET_IN_MSI", "")
TSAN = os.environ.get("IPIDEFER_QEMU_TSAN", "")
RACE_SECONDS = float(os.environ.get("IPIDEFER_RACE_SECONDS", "8"))
FOREVER = 0x7fffffff
PLAIN_RAM = 0xd0000     # which PAM can map and unmap


class BusyMainLoop(SegmentBase):
    """Rings go on while the main loop holds QEMU's big lock for as long as the
    test likes: it opens a FIFO that nobody reads."""

    extra = ",icr=off,doorbell=on"

    def total(self):
        return sum(self.counts().values())

    def busy(self):
        """@return the FIFO that the main loop is about to open."""
        fifo = os.path.join(self.folder, "fifo")
        os.mkfifo(fifo)
        self.addCleanup(os.unlink, fifo)
        self.m.qmp_stream.send(
            '{"execute": "chardev-add", "arguments": {"id": "c0", "backend": '
            '{"type": "file", "data": {"out": "%s"}}}}' % fifo)
        stat = f"/proc/{self.m.process.pid}/syscall"
        deadline = time.monotonic() + TIMEOUT
        while True:
            with open(stat) as syscall:
                if syscall.read().split()[0] == "257":      # openat
                    return fifo
            self.assertLess(time.monotonic(), deadline, "the main loop is idle")
            time.sleep(0.01)

    def test_doorbell_does_not_wait_for_it(self):
        self.start()
        self.register(2)
        self.m.w32(word(2), ACCEPT)
        self.m.tell(1, "!ring", MSR_ICR, 2, VECTOR, FOREVER, 0)
        fifo = self.busy()
        before = self.total()
        for step in range(1, 6):
            # Each of them has waited for the monitor to answer, in vain.
            self.wait_until(f"{self.total() - before} rings while the main "
                            "loop is busy",
                            lambda step=step: self.total() > before + 20 * step,
                            timeout=20)
        with open(fifo, "rb"):
            self.assertEqual(self.m.qmp_stream.receive().find('"error"'), -1)
        self.m.qmp("query-status")


@unittest.skipIf(NO_KVM, NO_KVM)
class BusyMainLoopKvm(BusyMainLoop):
    accel = "kvm"
    extra = ""


class BusyMainLoopKvmSplit(BusyMainLoopKvm):
    """With a PIC in userspace, too, a vCPU enters the guest without the lock."""

    accel = "kvm,kernel-irqchip=split"


class TwoAtOnceKvm(Kvm):
    """Two vCPUs that ring are both in QEMU at a time."""

    shared = False

    @unittest.skipUnless(MEET, "IPIDEFER_MEET_IN_MSI is not set")
    def test_both_are_seen_injecting(self):
        counts = tempfile.NamedTemporaryFile(prefix="ipidefer-meet-")
        self.addCleanup(counts.close)
        counts.write(bytes(16))
        counts.flush()
        with unittest.mock.patch.dict(os.environ, LD_PRELOAD=MEET,
                                      IPIDEFER_MEET=counts.name):
            self.start()
        rounds = 20
        for cpu in 0, 1:
            self.m.tell(cpu, "!ring", MSR_ICR, 2 + cpu, VECTOR, rounds, 0)
        for cpu in 0, 1:
            self.m.tell(cpu, "wait")
        with open(counts.name, "rb") as out:
            met, alone = struct.unpack("<QQ", out.read())
        self.assertGreater(met, 0, f"{alone} waited for another in vain")
        for cpu in 2, 3:
            self.assertGreater(self.m.taken(cpu, VECTOR), 0)


class Race(Base):
    """Rings beside all that changes what they look at.

    Each ring has exactly one verdict, whatever happens (I1): CPU 0 stays
    registered, so the vector is typed all the time.
    """

    options = DOORBELL
    rings = 2000

    def verdicts(self):
        return sum(n for cpu in (2, 3)
                   for n in self.m.counters(cpu, VECTOR).values())

    def change_registrations(self):
        """By a CPU that is not rung at, for one that is: its own WRMSR waits
        for nobody."""
        for cpu in 2, 3:
            self.m.wrmsr(cpu, MSR_REGISTER, 0)
            self.m.wrmsr(cpu, MSR_REGISTER, msr(table(cpu), 1))

    def change_memory(self):
        for _ in range(10):
            self.pam(PLAIN_RAM, 0)
            self.pam(PLAIN_RAM, 3)

    def stop_and_go(self):
        self.m.qmp("stop")
        self.m.qmp("cont")

    def look(self):
        self.m.qmp("query-ipi-defer")

    def test_race(self):
        self.start()
        self.register(0)
        self.pam(PLAIN_RAM, 3)
        # CPU 3's word is where memory comes and goes.
        self.m.write(table(2), binding(word(2)))
        self.m.write(table(3), binding(PLAIN_RAM))
        for cpu in 2, 3:
            self.m.wrmsr(cpu, MSR_REGISTER, msr(table(cpu), 1))
        self.m.w32(word(2), ACCEPT)
        self.m.w32(PLAIN_RAM, ACCEPT)
        changes = [self.change_registrations, self.change_memory, self.look,
                   self.stop_and_go]
        end = time.monotonic() + RACE_SECONDS
        n = 0
        while time.monotonic() < end or n < len(changes):
            before = self.verdicts()
            self.m.tell(1, "!ring", MSR_ICR, 2 + n % 2, VECTOR, self.rings, 7)
            changes[n % len(changes)]()
            changes[(n // 2) % len(changes)]()
            self.m.tell(1, "wait")
            self.assertEqual(self.verdicts() - before, self.rings, f"round {n}")
            n += 1
        # And a reset in the middle of it, after which all is well.
        for _ in range(3):
            self.m.tell(1, "!ring", MSR_ICR, 2, VECTOR, FOREVER, 7)
            self.m.qmp("system_reset")
            self.m.wait_ready()
        self.register(3)
        self.m.w32(word(3), ACCEPT)
        self.m.ring(0, 3 << 32 | VECTOR)
        self.assertEqual(self.m.r32(word(3)), ACCEPT | BIT)


class RaceKvm(Kvm, Race):
    options = Base.options
    shared = False


class RaceMigration(Base):
    """Rings while the guest migrates, with work pending, again and again.

    The ring's loop is the guest's and goes on where it arrives. Each ring has
    exactly one verdict, at the source or at the destination (I1), and the
    recorded bit comes along.
    """

    options = DOORBELL
    rings = 60000

    def verdicts(self):
        return sum(self.m.counters(2, VECTOR).values())

    def test_race(self):
        directory = tempfile.TemporaryDirectory(prefix="ipidefer-migration-")
        self.addCleanup(directory.cleanup)
        stream = os.path.join(directory.name, "stream")
        self.start()
        self.register(2)
        self.m.w32(word(2), ACCEPT)
        end = time.monotonic() + RACE_SECONDS
        rings, n, in_the_middle = self.rings, 0, 0
        while time.monotonic() < end or (not in_the_middle and n < 12):
            before = self.verdicts()
            self.m.w32(word(2), ACCEPT)
            self.m.tell(1, "!ring", MSR_ICR, 2, VECTOR, rings, 31)
            self.m.qmp("migrate", uri=f"file:{stream}")
            self.m.wait_migrated()
            there = self.verdicts() - before
            self.m.close()
            self.m = self.boot("-incoming", f"file:{stream}", boot=False)
            self.m.wait_migrated()
            self.m.tell(1, "wait")
            here = self.verdicts()
            self.assertEqual(there + here, rings, f"round {n}: {there} "
                             f"where it came from, {here} where it went")
            self.assertEqual(self.m.r32(word(2)), ACCEPT | BIT)
            self.assertEqual(self.m.taken(2, VECTOR), 0)
            in_the_middle += there > 0 and here > 0
            if not here:        # A busy host was too slow to migrate.
                rings *= 2
            n += 1
        self.assertGreater(in_the_middle, 0, f"of {n} migrations")


class RaceMigrationKvm(Kvm, RaceMigration):
    options = Base.options
    shared = False


class RaceUnplug(Base):
    """Rings at a vCPU that is unplugged and comes back.

    As often as TCG can start a vCPU: it keeps room for as many threads as the
    machine may have CPUs, and takes it up with each one that is plugged in.
    """

    options = ("-object",
               "ipi-defer,id=d0,isolated-cpus=2-31,icr=off,doorbell=on,idle=on")
    max_cpus = 32
    different = 5
    rings = 200000

    def slots(self):
        """What device_add wants for each vCPU that is not there."""
        return [dict(driver="qemu64-x86_64-cpu",
                     **{k.replace("-", "_"): v for k, v in c["props"].items()})
                for c in reversed(self.m.qmp("query-hotpluggable-cpus"))
                if "qom-path" not in c][:self.different]

    def test_race(self):
        self.start(cpus=f"3,maxcpus={self.max_cpus}", machine="pc")
        self.register(0)
        self.legacy_hotplug_off()
        slots = self.slots()
        self.assertEqual(len(slots), self.different)
        end = time.monotonic() + RACE_SECONDS
        for n in range(self.max_cpus - 3):
            cpu = 3 + n % len(slots)
            self.m.qmp("device_add", id="extra", **slots[n % len(slots)])
            self.m.tell(0, "start", cpu)
            self.m.write(table(cpu), binding(word(cpu)))
            self.m.w32(word(cpu), ACCEPT)
            self.m.tell(1, "!ring", MSR_ICR, cpu, VECTOR, self.rings, 1)
            for _ in range(n % 3 * 5):
                self.m.wrmsr(cpu, MSR_REGISTER, msr(table(cpu), 1))
                self.m.wrmsr(cpu, MSR_REGISTER, 0)
            self.m.wrmsr(cpu, MSR_REGISTER, msr(table(cpu), 1))
            self.wait_until("a ring that is recorded",
                            lambda cpu=cpu: self.m.r32(word(cpu)) & BIT)
            self.m.qmp("device_del", id="extra")
            self.eject(cpu)
            self.assertEqual(self.m.online_cpus(), 3)
            # Nobody records for a vCPU that is gone (I2).
            self.m.w32(word(cpu), ACCEPT)
            self.m.tell(1, "wait")
            self.assertEqual(self.m.r32(word(cpu)), ACCEPT, f"round {n}")
            if time.monotonic() > end:
                break
        self.register(2)
        self.m.w32(word(2), ACCEPT)
        self.m.ring(0, 2 << 32 | VECTOR)
        self.assertEqual(self.m.r32(word(2)), ACCEPT | BIT)


class RaceUnplugKvm(Kvm, RaceUnplug):
    """Each vCPU once: test_qemu.LifetimeKvm says why."""

    options = ("-object", "ipi-defer,id=d0,isolated-cpus=2-31,idle=on")
    shared = False
    different = RaceUnplug.max_cpus - 3


class EndedRegistration(Base):
    """When the WRMSR that ends a registration has returned, nobody records in
    its word any more (I2)."""

    options = DOORBELL
    rounds = 300

    def test_no_bit_after_the_end(self):
        self.start()
        self.register(0)
        self.m.write(table(3), binding(word(3)))
        self.m.tell(1, "!ring", MSR_ICR, 3, VECTOR, FOREVER, 0)
        for n in range(self.rounds):
            self.m.w32(word(3), ACCEPT, cpu=3)
            self.m.wrmsr(3, MSR_REGISTER, msr(table(3), 1))
            self.m.wrmsr(3, MSR_REGISTER, 0)
            self.m.w32(word(3), ACCEPT, cpu=3)
            time.sleep(0.0005)
            self.assertEqual(self.m.r32(word(3), cpu=3), ACCEPT, f"round {n}")


class EndedRegistrationKvm(Kvm, EndedRegistration):
    options = Base.options
    shared = False


class UndeliveredKvm(Kvm):
    """An interrupt that the guest's own doing keeps from its local APIC is
    counted."""

    shared = False

    def test_local_apic_that_is_switched_off(self):
        self.start()
        self.assertEqual(self.m.qmp("query-ipi-defer")["undelivered"], 0)
        base = self.m.rdmsr(3, test_qemu.MSR_APIC_BASE)
        self.m.tell(3, "wrmsr", test_qemu.MSR_APIC_BASE, base >> 32,
                    base & 0xffffffff & ~(1 << 11))
        for _ in range(3):
            self.m.ring(0, 3 << 32 | VECTOR)
        self.assertEqual(self.m.qmp("query-ipi-defer")["undelivered"], 3)


class Mutants(unittest.TestCase):
    """That the tests above see what they are for: the same with a QEMU in which
    one thing is wrong (vmm/qemu/mutants)."""

    def mutant(self, name, case, test):
        """The test must fail with it."""
        binary = f"{test_qemu.QEMU}-{name}"
        if not os.path.isfile(binary):
            self.skipTest(f"no file '{binary}'")
        for _ in range(5):
            with unittest.mock.patch.object(test_qemu, "QEMU", binary):
                result = unittest.TestResult()
                unittest.TestSuite([case(test)]).run(result)
            self.assertEqual(result.testsRun, 1)
            if not result.wasSuccessful():
                return
        self.fail(f"{case.__name__}.{test} passes with the mutant {name}")

    def test_no_lock(self):
        self.mutant("no-lock", EndedRegistration, "test_no_bit_after_the_end")

    def test_behind_bql(self):
        self.mutant("behind-bql", BusyMainLoop,
                    "test_doorbell_does_not_wait_for_it")


def accesses(report):
    """@return of a report of ThreadSanitizer's: where each access was made, as the
    innermost two functions of its stack"""
    return [re.findall(r"#[01] (\S+)", stack) for stack in re.findall(
        r"^  [^\n]* at 0x[^\n]*\n((?:    #[^\n]*\n)+)", report, re.MULTILINE)]


def is_ours(report):
    """Whether ipi-defer or libipidefer makes one of the accesses.

    That migration reads a page while a bit is set in it is no race: the page is
    marked dirty afterwards, and sent again.
    """
    made_by = accesses(report)
    return (any(re.search("ipi_defer|ipidefer", function)
                for functions in made_by for function in functions) and
            not any(function.startswith("ram_save_")
                    for functions in made_by for function in functions))


@unittest.skipUnless(TSAN, "IPIDEFER_QEMU_TSAN is not set")
@unittest.skipIf(NO_KVM, NO_KVM)
class Sanitized(unittest.TestCase):
    """The same under ThreadSanitizer (vmm/qemu/build.sh --tsan), by hand.

    It reports races of QEMU's own too. With KVM only: TCG leaves its generated
    code by longjmp(), and ThreadSanitizer loses the stack.
    """

    def reports(self, binary, case, test):
        """@return what it says of ipi-defer while the test runs and passes"""
        folder = tempfile.TemporaryDirectory(prefix="ipidefer-tsan-")
        self.addCleanup(folder.cleanup)
        options = f"log_path={folder.name}/log halt_on_error=0 exitcode=0"
        result = unittest.TestResult()
        with unittest.mock.patch.object(test_qemu, "QEMU", binary), \
                unittest.mock.patch.object(machine, "TIMEOUT", 10 * TIMEOUT), \
                unittest.mock.patch.dict(os.environ, TSAN_OPTIONS=options):
            unittest.TestSuite([case(test)]).run(result)
        text = ""
        for name in os.listdir(folder.name):
            with open(os.path.join(folder.name, name)) as log:
                text += log.read()
        found = text.split("WARNING: ThreadSanitizer")[1:]
        ours = list(filter(is_ours, found))
        print(f"{case.__name__}: {len(found)} reports, {len(ours)} of ipi-defer")
        return result, ours

    def clean(self, case, test, **slower):
        """@param slower: attributes of the case, as all takes ten times as long"""
        with contextlib.ExitStack() as stack:
            for name, value in slower.items():
                stack.enter_context(
                    unittest.mock.patch.object(case, name, value))
            result, ours = self.reports(TSAN, case, test)
        self.assertEqual(ours, [], "\n".join(ours))
        for _, trace in result.errors + result.failures:
            self.fail(trace)

    def test_race(self):
        self.clean(RaceKvm, "test_race")

    def test_migration(self):
        self.clean(RaceMigrationKvm, "test_race", rings=2000)

    def test_unplug(self):
        self.clean(RaceUnplugKvm, "test_race", rings=2000)

    def test_end_of_a_registration(self):
        self.clean(EndedRegistrationKvm, "test_no_bit_after_the_end", rounds=60)

    def test_it_reports_the_mutant_without_the_lock(self):
        _, ours = self.reports(f"{TSAN}-no-lock", RaceKvm, "test_race")
        self.assertNotEqual(ours, [])


if __name__ == "__main__":
    sys.exit(test_qemu.main())
