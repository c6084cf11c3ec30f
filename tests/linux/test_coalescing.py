# SPDX-License-Identifier: GPL-2.0-or-later
"""However many requests: one bit, no interrupt, one flush."""
import re

import pytest

from tests.support.oracle import CPU, KERNEL_TLBI, SYNC_CORE, TEST, boot_oracle

pytestmark = [pytest.mark.nested, pytest.mark.long,
              pytest.mark.ctest(timeout=900, processors=2)]
REQUESTS = 1_000_000
STEP = REQUESTS // 20
WORKS = (("kernel_tlbi", KERNEL_TLBI), ("sync_core", SYNC_CORE))


def free_memory(guest):
    """KiB; a queue of requests would take more than it varies by."""
    [line] = guest.lines_of("grep MemFree /proc/meminfo")
    return int(re.search(r"MemFree: +(\d+) kB", line).group(1))


def start(boot, mode):
    guest = boot_oracle(boot, f"ipi_defer={mode}")
    # The isolated vCPUs stay in the loops of init. The other one does not: it
    # would be interrupted and waited for, a million times, which took most of
    # the time and is not what is looked at.
    guest.run("echo 0 >/sys/devices/system/cpu/cpu1/online")
    return guest


def coalesce(guest, work):
    guest.run("sleep 1")
    free = free_memory(guest)
    before = guest.work_stats(work)
    for _ in range(0, REQUESTS, STEP):
        guest.run(f"echo request {work} {STEP} >{TEST}")
    after = guest.work_stats(work)
    assert after["requested"] - before["requested"] == REQUESTS
    assert after["delivered"] == before["delivered"]
    assert free_memory(guest) > free - 4096
    assert after["flushed"] - before["flushed"] <= 1
    # An interrupt takes the vCPU into the kernel: all at once are done.
    guest.run(f"echo ipi {CPU} >{TEST}")
    done = guest.work_stats(work)
    assert done["done"] >= after["seq"]
    assert done["flushed"] - after["flushed"] <= 1


class TestCoalescing:
    """However many requests: one bit, no interrupt, one flush."""

    def test_guest(self, boot):
        guest = start(boot, "guest")
        for work, _ in WORKS:
            coalesce(guest, work)

    def test_hv(self, boot):
        guest = start(boot, "hv")
        for work, vector in WORKS:
            before = guest.counters(CPU, vector)
            coalesce(guest, work)
            after = guest.counters(CPU, vector)
            assert (after["coalesced"] - before.get("coalesced", 0)
                    >= REQUESTS - 1)
