#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Typed interrupts that were delivered are seen, and named, by the kernel's tracers.

    test_noise.py [-v] [CLASS[.TEST]]...

Environment: as linux_guest.py. Status: 0 passed, 1 failed, 77 something is missing.

The osnoise tracer keeps an isolated vCPU in the kernel, where typed IPIs are
delivered. It must count each of them as the interrupt that it is, as irq_vectors:*
must: what they do not know of would pass for noise of the hardware.
"""
import re
import sys
import time
import unittest

from linux_guest import ISOLATED, PATIENCE, GuestCase, missing

CPU = ISOLATED[0]
TRACING = "/sys/kernel/debug/tracing"
TEST = "/sys/kernel/debug/x86/ipi_defer/test"
# Row of /proc/interrupts, work, vector.
TYPED = (("DSC", "sync_core", 0xf5), ("DTL", "kernel_tlbi", 0xea))
TIMES = 30


class Noise(GuestCase):
    def interrupts(self, row):
        """How many of a kind the vCPU has taken."""
        [line] = self.m.lines_of(f"grep '{row}:' /proc/interrupts")
        return int(line.split()[1 + CPU])

    def traced(self, pattern):
        """How many lines of the trace are of this vCPU and match."""
        return sum(1 for line in self.m.lines_of(f"cat {TRACING}/trace")
                   if f"[{CPU:03}]" in line and re.search(pattern, line))

    def start(self, append):
        self.boot(f"{append} ipi_defer_test loops=")
        # One window of a minute: between windows osnoise does not look.
        for name, value in (("period_us", 60_000_000), ("runtime_us", 60_000_000),
                            ("cpus", CPU)):
            self.m.run(f"echo {value} >{TRACING}/osnoise/{name}")
        self.m.run(f"echo 1 >{TRACING}/events/osnoise/irq_noise/enable")
        self.m.run(f"echo osnoise >{TRACING}/current_tracer")
        # Its thread may start late on a busy host: any interrupt shows whether it
        # looks.
        deadline = time.monotonic() + PATIENCE
        while not self.traced("irq_noise: "):
            if time.monotonic() > deadline:
                self.fail("osnoise sees nothing:\n" + "\n".join(
                    self.m.lines_of(f"cat {TRACING}/osnoise/*_us {TRACING}/trace")))
            self.m.run(f"echo ipi {CPU} >{TEST}; sleep 0.1")

    def expect_named(self, append):
        self.start(append)
        for row, work, vector in TYPED:
            with self.subTest(work=work):
                events = f"{TRACING}/events/irq_vectors/ipi_defer_{work}_"
                self.m.run(f"echo 1 >{events}entry/enable")
                self.m.run(f"echo 1 >{events}exit/enable")
                self.m.run(f"echo >{TRACING}/trace")
                before = self.interrupts(row)
                self.m.run(f"echo request {work} {TIMES} >{TEST}")
                taken = self.interrupts(row) - before
                self.assertEqual(taken, TIMES)
                noise = self.traced(rf"irq_noise: ipi_defer_{work}:{vector} ")
                self.assertEqual(noise, taken)
                for edge in "entry", "exit":
                    self.assertEqual(
                        self.traced(rf"ipi_defer_{work}_{edge}: vector={vector}$"),
                        taken)

    def test_hv(self):
        self.expect_named("ipi_defer=hv")

    def test_guest(self):
        self.expect_named("ipi_defer=guest")


if __name__ == "__main__":
    if not_there := missing():
        print("skipped:", "; ".join(not_there))
        sys.exit(77)
    unittest.main()
