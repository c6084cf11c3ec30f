#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernel memory that an isolated vCPU frees is purged by the other vCPUs.

    test_purge.py [-v] [CLASS[.TEST]]...

Environment: as linux_guest.py. Status: 0 passed, 1 failed, 77 something is missing.

When enough has been freed, the kernel queues a work item that purges it. On the
queue of the vCPU that freed the last of it, it would take that one out of
userspace, for work that any vCPU can do.
"""
import re
import sys
import unittest

from linux_guest import ISOLATED, GuestCase, missing

TRACING = "/sys/kernel/debug/tracing"
EVENT = f"{TRACING}/events/workqueue/workqueue_execute_start"
PURGES = ("drain_vmap_area_work", "purge_vmap_node")
# A purge is due from 32 MB for each bit of the number of CPUs: 96 MB for four.
MEGABYTES = 16
TIMES = 30
LEAST_PURGES = 3


class Purge(GuestCase):
    def test_housekeeping_does_it(self):
        self.boot("ipi_defer=hv loops=")
        self.m.run(f"dd if=/dev/zero of=/nothing.ko bs=1M count={MEGABYTES} 2>&-")
        self.m.run(f"echo 1 >{EVENT}/enable")
        # The kernel reads a module into memory of its own, as a whole, before it
        # finds that it is none.
        [failed] = self.m.lines_of(
            f"taskset -c {ISOLATED[0]} sh -c 'n=0; i=0; while [ $i -lt {TIMES} ]; do "
            "insmod /nothing.ko 2>&- || n=$((n+1)); i=$((i+1)); done; echo $n'")
        self.assertEqual(failed, str(TIMES))
        # Let what was queued last be done.
        self.m.run("sleep 1")
        cpus = []
        for line in self.m.lines_of(f"cat {TRACING}/trace"):
            found = re.search(r"\[(\d+)\] .*: function (\w+)", line)
            if found and found[2] in PURGES:
                cpus.append(int(found[1]))
        self.assertGreaterEqual(len(cpus), LEAST_PURGES)
        self.assertEqual([cpu for cpu in cpus if cpu in ISOLATED], [], cpus)


if __name__ == "__main__":
    if not_there := missing():
        print("skipped:", "; ".join(not_there))
        sys.exit(77)
    unittest.main()
