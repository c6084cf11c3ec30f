# SPDX-License-Identifier: GPL-2.0-or-later
"""Typed interrupts that were delivered are seen, and named, by the kernel's tracers.

The osnoise tracer keeps an isolated vCPU in the kernel, where typed IPIs are
delivered. It must count each of them as the interrupt that it is, as irq_vectors:*
must: what they do not know of would pass for noise of the hardware.
"""
import re
import time

import pytest

from tests.support.linux_guest import ISOLATED, PATIENCE

pytestmark = [pytest.mark.nested, pytest.mark.long,
              pytest.mark.ctest(timeout=900, processors=2)]
CPU = ISOLATED[0]
TRACING = "/sys/kernel/debug/tracing"
TEST = "/sys/kernel/debug/x86/ipi_defer/test"
# Row of /proc/interrupts, work, vector.
TYPED = (("DSC", "sync_core", 0xf5), ("DTL", "kernel_tlbi", 0xea))
RESENT = "/sys/kernel/debug/x86/ipi_defer/resent"
TIMES = 30


def interrupts(guest, row):
    """How many of a kind the vCPU has taken."""
    [line] = guest.lines_of(f"grep '{row}:' /proc/interrupts")
    return int(line.split()[1 + CPU])


def resent(guest):
    """How many IPIs were late, and sent once more, as on a busy host."""
    return int(guest.lines_of(f"cat {RESENT}")[-1])


def traced(guest, pattern):
    """How many lines of the trace are of this vCPU and match."""
    return sum(1 for line in guest.lines_of(f"cat {TRACING}/trace")
               if f"[{CPU:03}]" in line and re.search(pattern, line))


def start(boot, append):
    guest = boot(f"{append} ipi_defer_test loops=")
    # One window of a minute: between windows osnoise does not look.
    for name, value in (("period_us", 60_000_000), ("runtime_us", 60_000_000),
                        ("cpus", CPU)):
        guest.run(f"echo {value} >{TRACING}/osnoise/{name}")
    guest.run(f"echo 1 >{TRACING}/events/osnoise/irq_noise/enable")
    guest.run(f"echo osnoise >{TRACING}/current_tracer")
    # Its thread may start late on a busy host: any interrupt shows whether it
    # looks.
    deadline = time.monotonic() + PATIENCE
    while not traced(guest, "irq_noise: "):
        if time.monotonic() > deadline:
            pytest.fail("osnoise sees nothing:\n" + "\n".join(
                guest.lines_of(f"cat {TRACING}/osnoise/*_us {TRACING}/trace")))
        guest.run(f"echo ipi {CPU} >{TEST}; sleep 0.1")
    return guest


def expect_named(boot, append):
    guest = start(boot, append)
    for row, work, vector in TYPED:
        events = f"{TRACING}/events/irq_vectors/ipi_defer_{work}_"
        guest.run(f"echo 1 >{events}entry/enable")
        guest.run(f"echo 1 >{events}exit/enable")
        guest.run(f"echo >{TRACING}/trace")
        sent_again, before = resent(guest), interrupts(guest, row)
        guest.run(f"echo request {work} {TIMES} >{TEST}")
        taken = interrupts(guest, row) - before
        assert TIMES <= taken <= TIMES + resent(guest) - sent_again
        noise = traced(guest, rf"irq_noise: ipi_defer_{work}:{vector} ")
        assert noise == taken
        for edge in "entry", "exit":
            assert (traced(guest, rf"ipi_defer_{work}_{edge}: vector={vector}$")
                    == taken)


class TestNoise:
    def test_hv(self, boot):
        expect_named(boot, "ipi_defer=hv")

    def test_guest(self, boot):
        expect_named(boot, "ipi_defer=guest")
