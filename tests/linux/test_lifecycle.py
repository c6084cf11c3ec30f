#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest's registrations end when the guest does: suspend, kexec, crash.

    test_lifecycle.py [-v] [CLASS[.TEST]]...

Environment: IPIDEFER_QEMU, the patched qemu-system-x86_64; IPIDEFER_KERNEL, a
folder with the bzImage of the patched kernel; IPIDEFER_KEXEC_FILE, kexec_file.c
compiled statically. Status: 0 passed, 1 failed, 77 something is missing.

Each test has a mutant: the same with a kernel that keeps its registrations
(ipi_defer_fault=keep_registration) must fail.
"""
import os
import shutil
import sys
import unittest

from linux_guest import (BASE, ISOLATED, ISOLATION, KERNEL, ROOT, Guest,
                         GuestCase, archive, missing)

KEXEC_FILE = os.environ.get("IPIDEFER_KEXEC_FILE", "")
VECTOR = 0xf5           # sync_core


class LifecycleGuest(Guest):
    def words(self):
        """{vCPU: its bindings' words}, of the registered ones."""
        return {cpu["cpu-index"]: [b["word-gpa"] for b in cpu["bindings"]]
                for cpu in self.qmp("query-ipi-defer")["cpus"]
                if cpu["registered"]}

    def recorded(self):
        """Requests that interrupted no isolated vCPU, so far."""
        return sum(self.counters(cpu, VECTOR).get(verdict, 0)
                   for cpu in ISOLATED
                   for verdict in ("deferred", "coalesced"))


class Lifecycle(GuestCase):
    """One guest a test; APPEND makes the mutant."""

    APPEND = "ipi_defer=hv"

    def setUp(self):
        super().setUp()
        root, more, initrd = (os.path.join(self.folder, name)
                              for name in ("root", "more", "initrd"))
        archive(root, ROOT)
        # The kernel that comes next, and its root.
        archive(more, {"bin/kexec_file": KEXEC_FILE, "kernel": KERNEL,
                       "root": root})
        with open(initrd, "wb") as out:
            for part in root, more:
                with open(part, "rb") as source:
                    shutil.copyfileobj(source, out)
        self.m = LifecycleGuest(initrd, f"{self.APPEND} crashkernel=128M")
        self.addCleanup(self.m.close)
        self.assertEqual(sorted(self.m.words()), [0, 1, 2, 3])

    def expect_deferral(self, generation=1):
        before = self.m.recorded()
        self.m.run("toggle", generation)
        self.assertGreater(self.m.recorded(), before,
                           "nothing is deferred")

    def suspend(self):
        """Into S3, to where QEMU says that the machine sleeps."""
        self.m.serial.send("echo mem >/sys/power/state")
        self.m.wait_event("SUSPEND")

    def test_suspend(self):
        self.expect_deferral()
        words = self.m.words()
        self.suspend()
        self.assertEqual(self.m.words(), {}, "registered while asleep")
        self.m.qmp("system_wakeup")
        self.m.wait_ready()
        self.assertEqual(self.m.words(), words)
        self.expect_deferral()

    def kexec(self, when, append):
        """The command that loads the kernel that comes next."""
        return (f"kexec_file {when} /kernel /root "
                f"'{BASE} generation=2 {append}'")

    def test_kexec(self):
        self.expect_deferral()
        self.m.run(self.kexec("now", f"{ISOLATION} ipi_defer=off"), 2)
        self.assertEqual(self.m.words(), {}, "registered by a kernel that is gone")

    def test_kexec_again(self):
        """The next kernel registers its own words, and defers."""
        self.expect_deferral()
        self.m.run(self.kexec("now", f"{ISOLATION} ipi_defer=hv"), 2)
        self.assertEqual(sorted(self.m.words()), [0, 1, 2, 3])
        self.expect_deferral(2)

    def test_crash(self):
        self.expect_deferral()
        self.m.run(self.kexec("panic", "nr_cpus=1 ipi_defer=off"))
        recorded = self.m.recorded()
        self.m.run("taskset -c 0 sh -c 'echo c >/proc/sysrq-trigger'", 2)
        self.assertNotIn(0, self.m.words(), "the CPU that panicked is registered")
        # The others do not run any more. Their words accept nothing, as an NMI
        # stopped them: the crashed kernel's memory stays as it was.
        for cpu in self.m.qmp("query-ipi-defer")["cpus"]:
            for binding in cpu["bindings"]:
                self.assertNotEqual(binding["word"] & binding["accept-mask"],
                                    binding["accept-value"],
                                    f"vCPU {cpu['cpu-index']} accepts work")
        self.m.run("toggle", 2)
        self.assertEqual(self.m.recorded(), recorded)


class KeepsRegistration(Lifecycle):
    """The tests above, which must fail."""

    APPEND = "ipi_defer=hv ipi_defer_fault=keep_registration"

    def test_suspend(self):
        with self.assertRaisesRegex(AssertionError, "registered while asleep"):
            super().test_suspend()

    def test_kexec(self):
        with self.assertRaisesRegex(AssertionError, "a kernel that is gone"):
            super().test_kexec()

    test_kexec_again = None

    def test_crash(self):
        with self.assertRaisesRegex(AssertionError, "that panicked"):
            super().test_crash()


if __name__ == "__main__":
    if not_there := missing(IPIDEFER_KEXEC_FILE=KEXEC_FILE):
        print("skipped:", "; ".join(not_there))
        sys.exit(77)
    unittest.main()
