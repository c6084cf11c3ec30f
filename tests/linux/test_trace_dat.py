#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest's trace.dat and the host's trace of the same IPIs, on one timeline.

    test_trace_dat.py [-v] [CLASS[.TEST]]...

Environment: as linux_guest.py, and IPIDEFER_CLI, the ipidefer command. Status: 0
passed, 1 failed, 77 something is missing.

trace-cmd runs in the guest while the host records ICR writes and verdicts. Merged
by TSC, each request of the guest's comes before the host's verdicts about it and
these before the guest's own word that it is over.
"""
import base64
import gzip
import os
import re
import shutil
import subprocess
import sys
import unittest

from linux_guest import ISOLATED, GuestCase, missing
from segment_tool import IPIDEFER, Tool, Trace

TRACE_CMD = shutil.which("trace-cmd") or ""
VM = "guest"
CHANGES = 6


def libraries(program):
    """{path in the guest: path here} of what a program is linked with."""
    out = subprocess.run(["ldd", program], capture_output=True, text=True,
                         check=True).stdout
    return {path.lstrip("/"): os.path.realpath(path)
            for path in re.findall(r"(/\S+) \(0x", out)}


class TraceDat(GuestCase):
    def setUp(self):
        super().setUp()
        self.boot("ipi_defer=hv",
                  {"bin/trace-cmd": TRACE_CMD, **libraries(TRACE_CMD)},
                  defer=f",segment=on,segment-name={VM},"
                  f"segment-dir={self.folder}")
        self.tool = Tool(self.folder)

    def record(self):
        """@return the path of a trace.dat, and what the host saw meanwhile"""
        change = "; ".join(
            f"echo {i % 2} >/proc/sys/kernel/sched_schedstats"
            for i in range(1, CHANGES + 1))
        with Trace(self.tool, VM) as trace:
            self.m.run(f"trace-cmd record -q -C x86-tsc -e ipi_defer_request "
                       f"-e ipi_defer_verdict -o /t.dat sh -c '{change}'")
        lines = self.m.lines_of("gzip -c /t.dat | base64; rm /t.dat")
        path = os.path.join(self.folder, "t.dat")
        with open(path, "wb") as out:
            out.write(gzip.decompress(base64.b64decode("".join(lines))))
        return path, trace

    def merged(self, path, *more):
        return self.tool.run("trace", VM, "--buffered", "--guest-trace", path,
                             *more)

    def test_one_timeline(self):
        path, trace = self.record()
        self.assertGreater(sum(trace.verdicts().values()), 0)
        lines = self.merged(path).splitlines()
        # What concerns one isolated vCPU, in the order of the lines.
        marks = {"R": rf"ipi_defer_request:.*\btarget={ISOLATED[0]}\b",
                 "V": rf"ipi_verdict:.*\bcpu={ISOLATED[0]}\b",
                 "E": rf"ipi_defer_verdict:.*\btarget={ISOLATED[0]}\b"}
        order = "".join(mark for line in lines
                        for mark, event in marks.items()
                        if re.search(event, line))
        # Each change is three requests.
        self.assertGreaterEqual(order.count("R"), 3 * CHANGES)
        self.assertRegex(order, r"(RVE){%d}" % (2 * CHANGES),
                         "\n".join(lines[:60]))
        # With another offset they are not in order.
        wrong = self.merged(path, "--tsc-offset", "0").splitlines()
        self.assertNotEqual(wrong, lines)

    def test_refused(self):
        broken = os.path.join(self.folder, "broken.dat")
        with open(broken, "wb") as out:
            out.write(b"\x17\x08\x44tracing" + bytes(100))
        said = self.tool.run("trace", VM, "--buffered", "--guest-trace", broken,
                             status=1)
        self.assertIn("trace-cmd said: '", said)
        path = os.environ["PATH"]
        self.addCleanup(os.environ.__setitem__, "PATH", path)
        os.environ["PATH"] = self.folder
        said = self.tool.run("trace", VM, "--buffered", "--guest-trace", broken,
                             status=1)
        self.assertIn("there is no trace-cmd to read it", said)


if __name__ == "__main__":
    if not_there := missing(IPIDEFER_CLI=IPIDEFER, **{"trace-cmd": TRACE_CMD}):
        print("skipped:", "; ".join(not_there))
        sys.exit(77)
    unittest.main()
