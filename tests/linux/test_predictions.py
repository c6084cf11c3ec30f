# SPDX-License-Identifier: GPL-2.0-or-later
"""Branch predictions that only kernel code could follow are cleared in time.

The kernel has all CPUs clear them before the memory of a classic BPF program is used
again, and isolated ones may do so when they next enter the kernel: ahead of the first C
code, and so of the first indirect branch. Emulated CPUs predict nothing; that a vCPU
has executed the barrier is what QEMU can tell.
"""
import pytest

from tests.support.executed import Executed
from tests.support.linux_guest import PATIENCE
from tests.support.machine import wait_until
from tests.support.oracle import CPU, TEST, boot_oracle, spin

pytestmark = [pytest.mark.nested, pytest.mark.ctest(timeout=900, processors=2)]
TIMES = 20
BARRIER = "entry_ibpb"
# The ways in: what takes them, and the first C code there.
WAYS = {"ipi": "sysvec_call_function_single", "nmi": "exc_nmi"}


@pytest.fixture
def executed(tmp_path, kernel):
    return Executed(tmp_path, kernel, (BARRIER, *WAYS.values()))


def start(boot, executed, append):
    """@return a guest with a vCPU that stays in userspace"""
    guest = boot_oracle(boot, f"{append} loops=", more=executed.args)
    spin(guest)
    return guest


def calls_during(guest, executed, command):
    """@return pairs of a vCPU and what it has begun of what is watched"""
    executed.forget()
    guest.run(f"taskset -c 0 sh -c 'echo {command} >{TEST}'")
    return executed.calls()


def entry_by(guest, executed, way):
    """Interrupt the vCPU, and wait until it has been: nobody waits for an NMI.

    @return what it has begun until then
    """
    calls = calls_during(guest, executed, f"{way} {CPU}")

    def has_arrived():
        calls.extend(executed.calls())
        return (CPU, WAYS[way]) in calls

    wait_until(f"{way} arrives", has_arrived, PATIENCE)
    return [name for cpu, name in calls if cpu == CPU]


def rounds(guest, executed, way):
    """Requests, and what the vCPU begins at the first entry after each.

    @return of those that were left to the entry
    """
    left = []
    for _ in range(TIMES):
        calls = calls_during(guest, executed, "ibpb")
        # The sender's own, in each case.
        assert (0, BARRIER) in calls
        at_once = [name for cpu, name in calls if cpu == CPU]
        entry = entry_by(guest, executed, way)
        if not at_once:
            left.append(entry)
    return left


def expect_in_time(boot, executed, append):
    guest = start(boot, executed, append)
    for way, first in WAYS.items():
        left = rounds(guest, executed, way)
        # It may be in the kernel, once in a while.
        assert len(left) > TIMES / 2
        for entry in left:
            assert entry[:2] == [BARRIER, first]


class TestPredictions:
    """A barrier that was left to an isolated vCPU comes before its first C code."""

    def test_guest(self, boot, executed):
        expect_in_time(boot, executed, "ipi_defer=guest")

    def test_hv(self, boot, executed):
        expect_in_time(boot, executed, "ipi_defer=hv")

    def test_off(self, boot, executed):
        """All are interrupted for it, before the request is over."""
        guest = start(boot, executed, "")
        assert (CPU, BARRIER) in calls_during(guest, executed, "ibpb")
        assert rounds(guest, executed, "ipi") == []

    def test_mutant(self, boot, executed):
        """The flush that it comes with is done, and the barrier is not."""
        guest = start(boot, executed, "ipi_defer=hv ipi_defer_fault=skip_ibpb")
        left = rounds(guest, executed, "ipi")
        assert len(left) > TIMES / 2
        assert all(BARRIER not in entry for entry in left)
