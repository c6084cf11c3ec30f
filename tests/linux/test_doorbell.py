#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest whose hypervisor does not see the ICR rings the doorbell.

    test_doorbell.py [-v] [CLASS[.TEST]]...

Environment: as linux_guest.py. Status: 0 passed, 1 failed, 77 something is
missing, or there is no KVM that boots Linux.

Under TCG with the ICR hidden (icr=off), and under KVM where that boots Linux. The
guest counts what it asked for, the VMM what became of it and how often it was
asked: all must agree. With a guest that does not ring they must not.
"""
import os
import re
import sys
import tempfile
import time
import unittest

from linux_guest import (ISOLATED, ROOT, Guest, GuestCase, archive,
                         missing)
from machine import Failed

DIRECTORY = "/sys/kernel/debug/x86/ipi_defer"
VECTORS = {"sync_core": 0xf5, "kernel_tlbi": 0xea}
CPUS = range(4)


class DoorbellCase(GuestCase):
    ACCEL = "tcg,thread=multi"
    CPU = "max"
    DEFER = ",doorbell=on,icr=off"

    def boot(self, append="ipi_defer=hv", **kwargs):
        super().boot(append, **{"defer": self.DEFER, "cpu": self.CPU,
                                "accel": self.ACCEL, **kwargs})

    def guest_counts(self):
        """{(cpu, work): (requested, delivered)}, {work: requests}."""
        counts, requests = {}, {}
        for line in self.m.lines_of(f"cat {DIRECTORY}/stats"):
            found = re.fullmatch(r"(\d+) (\w+) (\d+) (-?\d+) (\d+) (\d+) (\d+) "
                                 r"(\d+) (0x)?[0-9a-f]+", line.strip())
            if found:
                cpu, work = int(found[1]), found[2]
                counts[cpu, work] = int(found[3]), int(found[5])
                requests[work] = int(found[8])
        self.assertTrue(counts)
        return counts, requests

    def vmm_counts(self):
        """{(cpu, work): {verdict: n}}, writes to the doorbell."""
        writes = self.m.qmp("query-ipi-defer")["doorbell-writes"]
        return {(cpu, work): self.m.counters(cpu, vector)
                for cpu in CPUS for work, vector in VECTORS.items()}, writes

    def counts(self):
        """Both sides, at a moment at which nothing is asked for."""
        deadline = time.monotonic() + 60
        while True:
            before = self.guest_counts()
            vmm = self.vmm_counts()
            if self.guest_counts() == before:
                return before, vmm
            self.assertLess(time.monotonic(), deadline, "never quiet")

    def compare(self, command):
        """Run a command; both sides must have counted the same meanwhile.

        @return requests; verdicts that suppressed, for isolated vCPUs
        """
        (counts, requests), (verdicts, writes) = self.counts()
        self.m.run(command)
        (counts2, requests2), (verdicts2, writes2) = self.counts()
        suppressed = 0
        for key in counts:
            new = {v: n - verdicts[key].get(v, 0)
                   for v, n in verdicts2[key].items()}
            requested, delivered = (counts2[key][i] - counts[key][i]
                                    for i in range(2))
            if key[0] >= 2:
                self.assertEqual(sum(new.values()), requested, f"{key}: {new}")
                suppressed += (new.get("deferred", 0) +
                               new.get("coalesced", 0))
            else:
                # It can never accept: the VMM is not asked to interrupt it.
                self.assertEqual(sum(new.values()), 0, f"{key}: {new}")
                self.assertEqual(delivered, requested, f"{key}")
        asked = sum(requests2[w] - requests[w] for w in requests)
        # Each request has an isolated vCPU among its targets, or more, for one write.
        self.assertEqual(writes2 - writes, asked, "writes for requests")
        return asked, suppressed


class Doorbell(DoorbellCase):
    def test_guest_and_vmm_agree(self):
        self.boot()
        self.assertEqual(self.m.lines_of(f"cat {DIRECTORY}/way"),
                         ["doorbell-multi"])
        self.assertTrue(any("by doorbell-multi" in line
                            for line in self.m.lines_of("dmesg | grep ipi_defer")))
        asked, suppressed = self.compare("toggle; toggle")
        self.assertGreater(asked, 10)
        self.assertGreater(suppressed, asked)

    def test_cpu_that_went_offline_and_came_back(self):
        self.boot()
        online = "/sys/devices/system/cpu/cpu1/online"
        self.m.run(f"echo 0 >{online}")
        self.assertFalse(self.m.defer(1)["registered"])
        self.m.run(f"echo 1 >{online}")
        self.assertTrue(self.m.defer(1)["registered"])
        asked, suppressed = self.compare("toggle")
        self.assertGreater(suppressed, asked)

    def test_switched_off_it_interrupts(self):
        self.boot()
        self.m.set("enabled", False)
        asked, suppressed = self.compare("toggle")
        self.assertGreater(asked, 5)
        self.assertEqual(suppressed, 0)


class DoorbellTcg(DoorbellCase):
    """What depends on an ICR that can be seen."""

    def test_icr_is_preferred(self):
        self.boot(defer=",doorbell=on")
        self.assertEqual(self.m.lines_of(f"cat {DIRECTORY}/way"), ["icr"])
        self.m.run("toggle")
        info = self.m.qmp("query-ipi-defer")
        self.assertEqual(info["doorbell-writes"], 0)
        self.assertGreater(sum(self.m.counters(2, 0xf5).values()), 5)


class DoorbellControl(DoorbellCase):
    """A guest that does not ring is found out."""

    def test_guest_that_records_by_itself_is_not_counted(self):
        self.boot("ipi_defer=guest")
        with self.assertRaisesRegex(AssertionError, "sync_core|kernel_tlbi"):
            self.compare("toggle")


# An MSR that some nested KVMs offer, and then refuse to set.
KVM_CPU = "host,-arch-capabilities"


def without_linux_under_kvm():
    """Why there is no Linux guest under KVM here, or ''."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "no /dev/kvm that can be used"
    with tempfile.TemporaryDirectory() as folder:
        initrd = os.path.join(folder, "initrd")
        archive(initrd, ROOT)
        begin = time.monotonic()
        try:
            Guest(initrd, "ipi_defer=off", defer=None, cpu=KVM_CPU,
                  accel="kvm").close()
        except Failed as error:
            text = str(error).strip().splitlines()
            return (f"no Linux guest without ipi-defer came up under this KVM in "
                    f"{time.monotonic() - begin:.0f} s: {text[0] if text else ''}")
    return ""


class DoorbellKvm(Doorbell):
    ACCEL = "kvm"
    CPU = KVM_CPU
    DEFER = ""

    @classmethod
    def setUpClass(cls):
        if why := without_linux_under_kvm():
            print(f"skipped: {why}")
            raise unittest.SkipTest(why)

    def injected(self):
        """{vCPU: interrupts that QEMU had KVM inject}, of typed vectors."""
        found = re.findall(r"ipi_defer_msi CPU (\d+):", self.m.output())
        return {cpu: found.count(str(cpu)) for cpu in CPUS}

    def test_only_those_that_may_accept_are_injected(self):
        self.boot(more=("-trace", "ipi_defer_msi"))
        # Then nothing is recorded, and all that is rung for is injected.
        self.m.set("enabled", False)
        _, (verdicts, _) = self.counts()
        before = self.injected()
        self.m.run("toggle")
        _, (verdicts2, _) = self.counts()
        after = self.injected()
        for cpu in CPUS:
            decided = sum(sum(verdicts2[cpu, work].values()) -
                          sum(verdicts[cpu, work].values()) for work in VECTORS)
            self.assertEqual(after[cpu] - before[cpu], decided, f"vCPU {cpu}")
            if cpu in ISOLATED:
                self.assertGreater(decided, 5)
            else:
                self.assertEqual(decided, 0)


if __name__ == "__main__":
    if not_there := missing():
        print("skipped: " + "; ".join(not_there))
        sys.exit(77)
    program = unittest.main(exit=False)
    if not program.result.wasSuccessful():
        sys.exit(1)
    # setUpClass skips before any test is counted.
    if program.result.skipped and \
            program.result.testsRun <= len(program.result.skipped):
        sys.exit(77)
