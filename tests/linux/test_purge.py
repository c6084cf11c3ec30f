# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernel memory that an isolated vCPU frees is purged by the other vCPUs.

When enough has been freed, the kernel queues a work item that purges it. On the
queue of the vCPU that freed the last of it, it would take that one out of
userspace, for work that any vCPU can do. When much more has come together, the purge
has helpers, one for each node of vmalloc's. These are bound to the vCPU of the node's
number, which may be isolated too.
"""
import collections
import re

import pytest

from tests.support import requirements
from tests.support.linux_guest import ISOLATED

pytestmark = [pytest.mark.nested, pytest.mark.ctest(timeout=900, processors=2)]
TRACING = "/sys/kernel/debug/tracing"
EVENT = f"{TRACING}/events/workqueue/workqueue_execute_start"
PURGE, HELPER = "drain_vmap_area_work", "purge_vmap_node"
# A purge is due from 32 MB for each bit of the number of CPUs: 96 MB for four.
MEGABYTES = 16
TIMES = 30
LEAST_PURGES = 3
# Freed as one area it has a helper for each further time that it is due, as long as
# there are nodes that have something: the first ones, and the last is purged by the
# purger itself. What is small is of the node of the vCPU that asked for it.
BIG = 4 * 96 << 20
SMALL, SMALLS = 64 << 10, 4
NODES = 4
ATTEMPTS = 20


def purgers(guest):
    """{work: the vCPUs that did it} since the last look."""
    # Let what was queued last be done.
    guest.run("sleep 1")
    cpus = collections.defaultdict(list)
    for line in guest.lines_of(f"cat {TRACING}/trace"):
        found = re.search(r"\[(\d+)\] .*: function (\w+)", line)
        if found and found[2] in (PURGE, HELPER):
            cpus[found[2]].append(int(found[1]))
    guest.run(f"echo >{TRACING}/trace")
    return cpus


class TestPurge:
    def test_housekeeping_does_it(self, boot):
        guest = boot("ipi_defer=hv loops=")
        guest.run(f"dd if=/dev/zero of=/nothing.ko bs=1M count={MEGABYTES} 2>&-")
        guest.run(f"echo 1 >{EVENT}/enable")
        # The kernel reads a module into memory of its own, as a whole, before it
        # finds that it is none.
        [failed] = guest.lines_of(
            f"taskset -c {ISOLATED[0]} sh -c 'n=0; i=0; while [ $i -lt {TIMES} ]; do "
            "insmod /nothing.ko 2>&- || n=$((n+1)); i=$((i+1)); done; echo $n'")
        assert failed == str(TIMES)
        cpus = purgers(guest)
        assert len(cpus[PURGE]) >= LEAST_PURGES
        assert [cpu for cpu in cpus[PURGE] if cpu in ISOLATED] == [], cpus

    def test_housekeeping_helps(self, boot):
        bpf_maps = requirements.path("IPIDEFER_BPF_MAPS")
        guest = boot("ipi_defer=hv loops=", {"bin/bpf-maps": bpf_maps}, memory="1G")
        guest.run(f"echo 1 >{EVENT}/enable")
        for _ in range(ATTEMPTS):
            # Small ones, so that all nodes have something; then a big one at once.
            guest.run(f"for cpu in $(seq 0 {NODES - 1}); do taskset -c $cpu bpf-maps "
                      f"array {SMALL} {SMALLS} 1; done; sleep 0.5; "
                      f"bpf-maps array {BIG} 1 1 || echo WARNING: no memory")
            cpus = purgers(guest)
            for work in PURGE, HELPER:
                assert [cpu for cpu in cpus[work] if cpu in ISOLATED] == [], cpus
            # One of these is for the node of an isolated vCPU.
            if len(cpus[HELPER]) >= NODES - 1:
                return
        pytest.fail(f"never {NODES - 1} helpers, but {cpus}")
