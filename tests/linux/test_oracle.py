#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Deferred work is done before the first kernel code that depends on it (I5).

    test_oracle.py [-v] [CLASS[.TEST]]...

Environment: as linux_guest.py, and IPIDEFER_ORACLE, a folder with entry_oracle
and compat_entry. IPIDEFER_ORACLE_ROUNDS: how often each of the eight ways into the
kernel is taken (default 1250, 10000 in all). Status: 0 passed, 1 failed, 77 something is missing.

The guest's kernel maps another page while an isolated vCPU is in userspace, and
reads it in the first C code of that vCPU's next entry. QEMU caches translations
as a CPU does, so a flush that is missing or late shows as a stale read: with
ipi_defer_fault=drop_tlb_flush it must.
"""
import os
import re
import sys
import unittest

from linux_guest import ISOLATED, GuestCase, missing

PROGRAMS = os.environ.get("IPIDEFER_ORACLE", "")
ROUNDS = int(os.environ.get("IPIDEFER_ORACLE_ROUNDS", "1250"))
ENTRIES = ("syscall", "int80", "compat", "fault", "breakpoint", "interrupt",
           "nmi", "nmi+syscall")
TEST = "/sys/kernel/debug/x86/ipi_defer/test"
CPU = ISOLATED[0]
SYNC_CORE = 0xf5
WORKS = (("kernel_tlbi", 0xea), ("sync_core", SYNC_CORE))


def program(name):
    return os.path.join(PROGRAMS, name)


class OracleCase(GuestCase):
    def boot(self, append, **kwargs):
        super().boot(f"ipi_defer_test {append}",
                     {"bin/entry_oracle": program("entry_oracle"),
                      "bin/compat_entry": program("compat_entry")}, **kwargs)

    def oracle(self, entry, rounds):
        """The kernel's counts for rounds of entries."""
        text = "\n".join(
            self.m.lines_of(f"entry_oracle {entry} {rounds} {CPU}"))
        found = re.search(r"== oracle (.*)", text)
        self.assertIsNotNone(found, text)
        counts = dict(w.split("=") for w in found.group(1).split())
        self.assertEqual(counts.pop("entry"), entry)
        return {name: int(count) for name, count in counts.items()}


class StaleMapping(OracleCase):
    """What was mapped anew is seen, whichever way the vCPU enters."""

    def expect_fresh(self, append, pending, entries=ENTRIES, **kwargs):
        self.boot(f"{append} loops=", **kwargs)
        for entry in entries:
            with self.subTest(entry=entry):
                seen = self.oracle(entry, ROUNDS)
                # Both of nmi+syscall may find the check armed.
                self.assertGreaterEqual(seen["checked"], ROUNDS)
                self.assertEqual(seen["stale"], 0)
                # The vCPU may not be back in userspace each time; and an
                # NMI on the way there may have it not accept until it is in
                # the kernel once more.
                if pending:
                    least = 0.1 if entry == "nmi+syscall" else 0.9
                    self.assertGreater(seen["pending"], ROUNDS * least)
                else:
                    self.assertEqual(seen["pending"], 0)

    def test_off(self):
        self.expect_fresh("ipi_defer=off", pending=False)

    def test_guest(self):
        self.expect_fresh("ipi_defer=guest", pending=True)

    def test_hv(self):
        self.expect_fresh("ipi_defer=hv", pending=True)

    def test_hv_sysenter(self):
        """A 32-bit process uses SYSENTER on Intel's CPUs, SYSCALL on AMD's."""
        self.expect_fresh("ipi_defer=hv", pending=True, entries=("compat",),
                          cpu="max,vendor=GenuineIntel")

    def test_hv_pti(self):
        """With two sets of page tables, and entries that are not global."""
        self.expect_fresh("ipi_defer=hv pti=on", pending=True)

    def test_mutant(self):
        self.boot("ipi_defer=hv ipi_defer_fault=drop_tlb_flush loops=")
        stale = {entry: self.oracle(entry, 200)["stale"] for entry in ENTRIES}
        # A signal's way back flushes QEMU's translations.
        del stale["breakpoint"]
        for entry, count in stale.items():
            self.assertGreater(count, 0, f"{entry}: a lost flush is not seen")


class ChangedText(OracleCase):
    """sync_core() came before code that was changed in the meantime."""

    def text(self, append, rounds):
        self.boot(f"{append} loops=")
        seen = self.oracle("text", rounds)
        self.assertEqual(seen["probed"], rounds)
        return seen["unsynced"]

    def test_guest(self):
        self.assertEqual(self.text("ipi_defer=guest", ROUNDS // 5), 0)

    def test_hv(self):
        self.assertEqual(self.text("ipi_defer=hv", ROUNDS // 5), 0)

    def test_mutant(self):
        lost = self.text("ipi_defer=hv ipi_defer_fault=drop_flush", 20)
        self.assertGreater(lost, 0, "lost work is not seen")


class Permissions(OracleCase):
    """Of what a page's aliases were purged for, only permissions can wait."""

    CHANGES = 10

    def flushes_left(self, change):
        """Flushes that were left to isolated vCPUs, over some changes of pages.

        The kernel may leave some on its own account meanwhile, and large
        mappings that it freed before may have the first ones not wait.
        """
        before = self.m.work_stats("kernel_tlbi")["seq"]
        for _ in range(self.CHANGES):
            self.m.run(f"echo {change} >{TEST} || echo WARNING: {change} failed")
        return self.m.work_stats("kernel_tlbi")["seq"] - before

    def test_guest(self):
        self.boot("ipi_defer=guest")
        self.assertGreater(self.flushes_left("ro"), self.CHANGES * 0.6)
        # A page that is poisoned is not to be speculated into.
        self.assertLess(self.flushes_left("np"), self.CHANGES * 0.4)


class Idle(OracleCase):
    """Idle CPUs have sync_core deferred if they are asked to, and not else."""

    def requests_to_idle(self, append):
        """(requests, suppressed) of an idle isolated vCPU."""
        self.boot(f"{append} loops=")
        self.m.run("sleep 1")
        before = self.m.work_stats("sync_core")
        self.m.run("toggle")
        after = self.m.work_stats("sync_core")
        # It wakes up, and all is done.
        self.m.run(f"taskset -c {CPU} true")
        done = self.m.work_stats("sync_core")
        self.assertGreaterEqual(done["done"], after["seq"])
        return tuple(after[name] - before[name]
                     for name in ("requested", "suppressed"))

    def test_guest(self):
        requested, suppressed = self.requests_to_idle(
            "ipi_defer=guest ipi_defer_idle")
        self.assertGreater(requested, 0)
        self.assertGreater(suppressed, requested * 0.9)

    def test_guest_without(self):
        requested, suppressed = self.requests_to_idle("ipi_defer=guest")
        self.assertGreater(requested, 0)
        self.assertEqual(suppressed, 0)

    def test_hv(self):
        """By the object's policy: off by default."""
        requested, suppressed = self.requests_to_idle(
            "ipi_defer=hv ipi_defer_idle")
        self.assertGreater(requested, 0)
        self.assertEqual(suppressed, 0)
        counters = self.m.counters(CPU, SYNC_CORE)
        self.assertGreater(counters["delivered-policy"], 0)

        self.m.set("idle", True)
        before = self.m.work_stats("sync_core")
        self.m.run("toggle")
        after = self.m.work_stats("sync_core")
        self.assertGreater(after["suppressed"], before["suppressed"])


class Coalescing(OracleCase):
    """However many requests: one bit, no interrupt, one flush."""

    REQUESTS = 1_000_000
    STEP = REQUESTS // 20

    def free_memory(self):
        """KiB; a queue of requests would take more than it varies by."""
        [line] = self.m.lines_of("grep MemFree /proc/meminfo")
        return int(re.search(r"MemFree: +(\d+) kB", line).group(1))

    def start(self, mode):
        self.boot(f"ipi_defer={mode}")
        # The isolated vCPUs stay in the loops of init. The other one does not: it
        # would be interrupted and waited for, a million times, which took most of
        # the time and is not what is looked at.
        self.m.run("echo 0 >/sys/devices/system/cpu/cpu1/online")

    def coalesce(self, work):
        self.m.run("sleep 1")
        free = self.free_memory()
        before = self.m.work_stats(work)
        for _ in range(0, self.REQUESTS, self.STEP):
            self.m.run(f"echo request {work} {self.STEP} >{TEST}")
        after = self.m.work_stats(work)
        self.assertEqual(after["requested"] - before["requested"], self.REQUESTS)
        self.assertEqual(after["delivered"], before["delivered"])
        self.assertGreater(self.free_memory(), free - 4096)
        self.assertLessEqual(after["flushed"] - before["flushed"], 1)
        # An interrupt takes the vCPU into the kernel: all at once are done.
        self.m.run(f"echo ipi {CPU} >{TEST}")
        done = self.m.work_stats(work)
        self.assertGreaterEqual(done["done"], after["seq"])
        self.assertLessEqual(done["flushed"] - after["flushed"], 1)

    def test_guest(self):
        self.start("guest")
        for work, _ in WORKS:
            with self.subTest(work=work):
                self.coalesce(work)

    def test_hv(self):
        self.start("hv")
        for work, vector in WORKS:
            with self.subTest(work=work):
                before = self.m.counters(CPU, vector)
                self.coalesce(work)
                after = self.m.counters(CPU, vector)
                self.assertGreaterEqual(
                    after["coalesced"] - before.get("coalesced", 0),
                    self.REQUESTS - 1)


if __name__ == "__main__":
    if not_there := missing(**{f"IPIDEFER_ORACLE/{name}": program(name)
                               for name in ("entry_oracle", "compat_entry")}):
        print("skipped:", "; ".join(not_there))
        sys.exit(77)
    unittest.main()
