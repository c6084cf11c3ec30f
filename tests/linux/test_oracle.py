#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Deferred work is done before the first kernel code that depends on it (I5).

    test_oracle.py [-v] [CLASS[.TEST]]...

Environment: as linux_guest.py, and IPIDEFER_ORACLE, a folder with entry_oracle
and compat_entry. IPIDEFER_ORACLE_ROUNDS: how often each of the nine ways into the
kernel is taken (default 1250, some 11000 in all). Status: 0 passed, 1 failed, 77
something is missing.

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
from serialized import Watch

PROGRAMS = os.environ.get("IPIDEFER_ORACLE", "")
ROUNDS = int(os.environ.get("IPIDEFER_ORACLE_ROUNDS", "1250"))
ENTRIES = ("syscall", "int80", "compat", "fault", "breakpoint", "iret",
           "interrupt", "nmi", "nmi+syscall")
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
                # Whatever is recorded once it is in the kernel would be late.
                self.assertEqual(seen["unclean"], 0)
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
        del stale["breakpoint"], stale["iret"]
        for entry, count in stale.items():
            self.assertGreater(count, 0, f"{entry}: a lost flush is not seen")


class ChangedText(OracleCase):
    """Work was accounted for before code that was changed in the meantime.

    That is the protocol. That the vCPU has synchronised is for Serialized to see:
    QEMU's text is coherent whatever the guest does.
    """

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


class Serialized(OracleCase):
    """A serializing instruction came before code that was changed in the meantime."""

    ROUNDS = 50
    # The ways in, beside a system call; a call is waited for.
    COMMANDS = {"nmi": f"echo nmi {CPU} >{TEST}; echo ipi {CPU} >{TEST}",
                "interrupt": f"echo ipi {CPU} >{TEST}"}

    def start(self, append, **kwargs):
        watch = Watch(self.folder)
        self.boot(append, more=watch.args, **kwargs)
        watch.start(self.m)
        return watch

    def expect_all(self, append):
        """Of text that a system call, an interrupt or an NMI runs."""
        watch = self.start(f"{append} loops=")
        seen = self.oracle("text", self.ROUNDS)
        self.assertEqual(seen["unsynced"], 0)
        self.assertEqual(watch.probes(CPU), [True] * self.ROUNDS)
        # For these, something has to be in userspace there.
        self.m.run(f"taskset -c {CPU} sh -c 'while :; do :; done' &")
        for name, command in self.COMMANDS.items():
            with self.subTest(entry=name):
                before = self.m.work_stats("sync_core")
                watch.probes(CPU)
                for _ in range(self.ROUNDS):
                    self.m.run(f"echo poke {CPU} >{TEST}; {command}")
                    # A function call that comes second finds nothing to check.
                    self.assertEqual(watch.probes(CPU)[:1], [True])
                after = self.m.work_stats("sync_core")
                self.assertGreater(after["suppressed"], before["suppressed"])

    def test_guest(self):
        self.expect_all("ipi_defer=guest")

    def test_hv(self):
        self.expect_all("ipi_defer=hv")

    def test_mutant(self):
        """All that the kernel accounts for is in order, but nothing was executed."""
        watch = self.start("ipi_defer=hv ipi_defer_fault=skip_sync loops=")
        seen = self.oracle("text", self.ROUNDS)
        self.assertEqual(seen["unsynced"], 0)
        probes = watch.probes(CPU)
        self.assertEqual(len(probes), self.ROUNDS)
        self.assertNotIn(True, probes)


class Permissions(OracleCase):
    """Of what a page's aliases were purged for, only permissions can wait."""

    ROUNDS = 40
    TRACING = "/sys/kernel/debug/tracing"

    def aliases(self, command):
        """The counts of aliases that were purged while a vCPU was in userspace.

        Its entries do not flush, so that what is left in its TLB shows.
        """
        before = self.counts()
        for _ in range(self.ROUNDS):
            self.m.run(f"echo {command} {CPU} >{TEST} || echo WARNING: it failed")
        after = self.counts()
        return {name: after[name] - count for name, count in before.items()}

    def counts(self):
        words = " ".join(self.m.lines_of(f"cat {TEST}")).split()
        return {name: int(count) for name, count in zip(words[::2], words[1::2])}

    def expect_none_left(self, append):
        """vm_unmap_aliases() finds those too that were purged before, for later."""
        self.boot(f"{append} ipi_defer_fault=drop_tlb_flush")
        # The control: those that may be left are left, and are seen.
        seen = self.aliases("alias_left")
        self.assertEqual(seen["aliases"], self.ROUNDS)
        self.assertGreater(seen["aliases_pending"], 0)
        self.assertGreater(seen["aliases_stale"], 0)
        seen = self.aliases("alias")
        self.assertEqual(seen["aliases"], self.ROUNDS)
        self.assertGreater(seen["aliases_pending"], 0)
        self.assertEqual(seen["aliases_stale"], 0)

    def test_guest(self):
        self.expect_none_left("ipi_defer=guest")

    def test_hv(self):
        self.expect_none_left("ipi_defer=hv")

    def called(self, change):
        """Which of the two a change of pages has called, by the function tracer."""
        t = self.TRACING
        self.m.run(f"echo >{t}/trace; sh -c 'echo $$ >{t}/set_ftrace_pid; "
                   f"echo 1 >{t}/tracing_on; echo {change} >{TEST}; "
                   f"echo 0 >{t}/tracing_on'")
        return {found[1] for line in self.m.lines_of(f"cat {t}/trace")
                if (found := re.search(r": (vm_unmap_aliases\w*) <-", line))}

    def test_who_may_wait(self):
        self.boot("ipi_defer=guest")
        for name, value in (("tracing_on", 0),
                            ("set_ftrace_filter", "vm_unmap_aliases*"),
                            ("current_tracer", "function")):
            self.m.run(f"echo '{value}' >{self.TRACING}/{name}")
        self.assertEqual(self.called("ro"), {"vm_unmap_aliases_deferrable"})
        # A page that is poisoned is not to be speculated into.
        self.assertEqual(self.called("np"), {"vm_unmap_aliases"})


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
