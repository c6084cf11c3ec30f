#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Deferred work of a vCPU that runs a nested guest (CONTEXT_GUEST).

    test_nested.py [-v] [CLASS[.TEST]]...

Environment: as linux_guest.py, and IPIDEFER_VMM, the static ipidefer-vmm, and
IPIDEFER_KVM_GUEST, the guest that it runs. Status: 0 passed, 1 failed, 77 something is
missing.

QEMU emulates AMD's virtualization; the guest loads its own kvm_amd, and runs the
VMM with one vCPU on an isolated vCPU. Text is changed while that one is in its
guest; NMIs and function calls force it out, and look whether its sync_core()
was accounted for before (ipi_defer_test.c of the kernel series), and whether it was
executed (serialized.py).
"""
import collections
import itertools
import os
import random
import sys
import unittest

from linux_guest import ISOLATED, GuestCase, missing
from serialized import Watch

VMM = os.environ.get("IPIDEFER_VMM", "")
L2 = os.environ.get("IPIDEFER_KVM_GUEST", "")
MODULES = {f"bin/{name}.ko": os.path.join(
    os.environ.get("IPIDEFER_KERNEL", ""), "modules", f"{name}.ko")
    for name in ("irqbypass", "kvm", "kvm-amd")}
CPU = ISOLATED[0]
TEST = "/sys/kernel/debug/x86/ipi_defer/test"
SYNC_CORE = 0xf5
# What happens to the vCPU, in any order. A poke is a change of text.
EVENTS = {"poke": f"echo poke {CPU} >$T",
          "nmi": f"echo nmi {CPU} >$T",
          "call": f"echo ipi {CPU} >$T",
          "pause": "sleep 0.1"}
POKED = ("probed", "unsynced")


class NestedCase(GuestCase):
    def boot_l2(self, scenario, append, **kwargs):
        """A guest whose CPU runs a nested guest of that scenario."""
        self.boot(f"ipi_defer_test loops= {append}",
                  {**MODULES, "bin/vmm": VMM, "bin/l2": L2}, cpu="max,+svm", **kwargs)
        self.m.run(f"T={TEST}; for m in irqbypass kvm kvm-amd; do "
                   "insmod /bin/$m.ko; done")
        self.m.run(f"vmm --guest /bin/l2 --append 'scenario={scenario}' "
                   f"--pin {CPU} --mem 16M --timeout 86400 --quiet "
                   ">/vmm.log 2>&1 &")
        said = self.m.lines_of(
            "i=0; while ! grep -q spinning /vmm.log && [ $i -lt 300 ];"
            " do sleep 0.1; i=$((i+1)); done; sleep 0.5; cat /vmm.log")
        self.assertIn("spinning", "\n".join(said))

    def checks(self):
        """The counts of the kernel's checks."""
        words = " ".join(self.m.lines_of("cat $T")).split()
        counts = dict(zip(words[0::2], words[1::2]))
        return {name: int(counts[name]) for name in POKED}

    def stats(self):
        """The guest's statistics of SYNC_CORE on the isolated vCPU."""
        return self.m.work_stats("sync_core", CPU)

    def forced_exits(self):
        """Exits of the nested guest for interrupts, by KVM's count."""
        [count] = self.m.lines_of("cat /sys/kernel/debug/kvm/*-*/irq_exits")
        return int(count)

    def do(self, *events, times=1):
        """Events without a pause, one after another."""
        self.m.run(f"i=0; while [ $i -lt {times} ]; do "
                   + "; ".join(EVENTS[e] for e in events)
                   + "; i=$((i+1)); done")


# All orders in which a change is followed by something that looks.
ORDERS = sorted({order for n in (2, 3, 4)
                 for order in itertools.product(("poke", "nmi", "call"), repeat=n)
                 if order.count("poke") == 1 and order[-1] != "poke"})


class ExitsAndNmis(NestedCase):
    """Whatever forces the vCPU out of its guest, it has synchronised first."""

    ROUNDS = 20

    def expect_synced(self, scenario, append, deferred):
        self.boot_l2(scenario, append)
        for order in ORDERS:
            with self.subTest(order=order):
                before, stats = self.checks(), self.stats()
                # An NMI is not waited for, a call is.
                self.do(*order, "call", times=self.ROUNDS)
                after, now = self.checks(), self.stats()
                self.assertEqual(after["probed"] - before["probed"],
                                 self.ROUNDS)
                self.assertEqual(after["unsynced"], 0)
                suppressed = now["suppressed"] - stats["suppressed"]
                if deferred:
                    self.assertGreater(suppressed, 0)
                else:
                    self.assertEqual(suppressed, 0)

    def test_guest(self):
        self.expect_synced("spin", "ipi_defer=guest", True)

    def test_hv(self):
        self.expect_synced("spin", "ipi_defer=hv", True)

    def test_hv_busy(self):
        """The nested guest exits to its VMM all the time, too."""
        self.expect_synced("exits", "ipi_defer=hv", True)

    def test_off(self):
        self.expect_synced("spin", "ipi_defer=off", False)

    def test_mutant(self):
        """Work that the exit leaves out is seen, by calls and by NMIs."""
        self.boot_l2("spin", "ipi_defer=hv ipi_defer_fault=drop_flush")
        for event in ("call", "nmi"):
            with self.subTest(event=event):
                before = self.checks()
                self.do("poke", event, "pause", times=10)
                after = self.checks()
                self.assertGreater(after["unsynced"], before["unsynced"],
                                   "lost work is not seen")


class SerializedExits(NestedCase):
    """A serializing instruction comes between the guest and code that was changed."""

    ROUNDS = 20

    def look(self, append):
        """For each way out: whether it had come, for each round."""
        watch = Watch(self.folder)
        self.boot_l2("spin", append, more=watch.args)
        watch.start(self.m)
        seen = {}
        for event in ("nmi", "call"):
            seen[event] = []
            for _ in range(self.ROUNDS):
                # A call that comes second finds nothing to look for.
                self.do("poke", event, "call")
                seen[event] += watch.probes(CPU)[:1]
        self.assertEqual(self.checks()["unsynced"], 0)
        return seen

    def test_hv(self):
        for event, rounds in self.look("ipi_defer=hv").items():
            self.assertEqual(rounds, [True] * self.ROUNDS, event)

    def test_mutant(self):
        for event, rounds in self.look(
                "ipi_defer=hv ipi_defer_fault=skip_sync").items():
            self.assertIn(False, rounds, event)


class Storm(NestedCase):
    """The same in no order, from two senders at a time."""

    def test_hv(self):
        self.boot_l2("exits", "ipi_defer=hv")
        rng = random.Random(1)
        before = self.stats()
        # The other one changes other text.
        self.m.run("(for n in $(seq 20); do toggle; done) &")
        for _ in range(20):
            events = []
            for event in rng.choices(["poke", "nmi", "call"], k=20):
                # A change while the last one is looked at would be misread.
                events += ["call", event] if event == "poke" else [event]
            self.do(*events)
        self.m.run("wait $!")
        self.do("call")
        counts, after = self.checks(), self.stats()
        self.assertGreater(counts["probed"], 0)
        self.assertEqual(counts["unsynced"], 0)
        self.assertGreater(after["suppressed"], before["suppressed"])


class GuestPolicy(NestedCase):
    """guest=off: a vCPU in its guest is interrupted; on again, it is not."""

    def changes(self):
        """(verdicts by name, forced exits) of changes of text."""
        before, exits = self.m.counters(CPU, SYNC_CORE), self.forced_exits()
        self.m.run("toggle")
        after = self.m.counters(CPU, SYNC_CORE)
        return (collections.Counter({name: count - before.get(name, 0)
                                     for name, count in after.items()}),
                self.forced_exits() - exits)

    def expect_recorded(self):
        verdicts, exits = self.changes()
        recorded = verdicts["deferred"] + verdicts["coalesced"]
        self.assertGreater(recorded, 0)
        self.assertEqual(verdicts["delivered-policy"], 0)
        # What the scheduler and RCU want of the vCPU now and then.
        self.assertLess(exits, recorded / 2)

    def test_hv(self):
        self.boot_l2("spin", "ipi_defer=hv")
        self.expect_recorded()

        self.m.set("guest", False)
        verdicts, exits = self.changes()
        self.assertGreater(verdicts["delivered-policy"], 0)
        self.assertEqual(verdicts["deferred"] + verdicts["coalesced"], 0)
        self.assertGreaterEqual(exits, verdicts["delivered-policy"] / 2)

        self.m.set("guest", True)
        self.expect_recorded()


if __name__ == "__main__":
    if not_there := missing(IPIDEFER_VMM=VMM, IPIDEFER_KVM_GUEST=L2,
                            **MODULES):
        print("skipped:", "; ".join(not_there))
        sys.exit(77)
    unittest.main()
