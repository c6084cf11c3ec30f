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
import collections
import gzip
import os
import re
import shutil
import subprocess
import sys
import unittest

from linux_guest import ISOLATED, GuestCase, missing
from tests.support.segment_tool import Tool, Trace

IPIDEFER = os.environ.get("IPIDEFER_CLI", "")
TRACE_CMD = shutil.which("trace-cmd") or ""
VM = "guest"
CHANGES = 6
ATTEMPTS = 5
VECTORS = {0xf5: "sync_core", 0xea: "kernel_tlbi"}
OF_ONE_CPU = re.compile(
    r"(?P<event>ipi_defer_request|ipi_defer_verdict|ipi_verdict): +"
    r"(?:target|cpu)=(?P<cpu>\d+) (?P<rest>.*)")


def libraries(program):
    """{path in the guest: path here} of what a program is linked with."""
    out = subprocess.run(["ldd", program], capture_output=True, text=True,
                         check=True).stdout
    return {path.lstrip("/"): os.path.realpath(path)
            for path in re.findall(r"(/\S+) \(0x", out)}


def follow(lines, cpu):
    """Each request to a vCPU: has it its verdicts before its end, and no others?

    Requests are known by work and number, so that another sender's may come in
    between. One that is overdue is made again under its number, and then has
    another verdict. A verdict says the vector only: it is that of the oldest request
    of this work that waits for one. One for reason max-age is nobody's: the VMM
    delivers by itself what has waited for long.

    @return {work: requests that were seen from begin to end}, what is wrong
    """
    ended, faults = collections.Counter(), []
    # By work: {number: [times sent, verdicts]} of requests without an end.
    waiting = {work: {} for work in VECTORS.values()}
    # Verdicts that may be of requests from before the guest's recording.
    seen, strays = collections.Counter(), {work: [] for work in waiting}
    for line in lines:
        found = OF_ONE_CPU.search(line)
        if not found or int(found["cpu"]) != cpu:
            continue
        values = dict(word.split("=", 1) for word in found["rest"].split())
        if found["event"] == "ipi_verdict":
            work = VECTORS.get(int(values["vector"], 0))
            if work is None or values.get("reason") == "max-age":
                continue
            oldest = next((one for one in waiting[work].values()
                           if one[1] < one[0]), None)
            if oldest:
                oldest[1] += 1
            else:
                strays[work].append(line)
            continue
        work, number = values["work"], int(values["seq"])
        if found["event"] == "ipi_defer_request":
            # Between requests that were recorded there is no other one.
            if seen[work]:
                faults += [f"nobody's: {stray}" for stray in strays[work]]
            strays[work].clear()
            seen[work] += 1
            waiting[work].setdefault(number, [0, 0])[0] += 1
        elif number in waiting[work]:
            sent, verdicts = waiting[work].pop(number)
            ended[work] += 1
            if verdicts != sent:
                faults.append(f"sent {sent} times, {verdicts} verdicts: {line}")
        elif seen[work]:
            faults.append(f"not requested: {line}")
    # The guest's recording ends at some time.
    for work, requests in waiting.items():
        if len(requests) > 1:
            faults.append(f"{work} never ends: {sorted(requests)}")
    return ended, faults


class Follow(unittest.TestCase):
    """What is out of order is found, and nothing else is."""

    @staticmethod
    def lines(*events):
        """R, V and E, of a number, and of kernel_tlbi if there is a t; A: for age."""
        text = []
        for event in events:
            kind, number = event[0], event[1:].rstrip("t")
            work, vector = (("kernel_tlbi", "0xea") if event.endswith("t")
                            else ("sync_core", "0xf5"))
            text.append({
                "R": f"ipi_defer_request:  target=2 work={work} seq={number}",
                "V": f"ipi_verdict:  cpu=2 vector={vector} verdict=deferred",
                "A": f"ipi_verdict:  cpu=2 vector={vector} verdict=delivered "
                     "reason=max-age",
                "E": f"ipi_defer_verdict:  target=2 work={work} seq={number} "
                     "verdict=pending"}[kind])
        return text

    def test_in_order(self):
        for events, ended in (
                ("R1 V E1 R2 V E2", 2),
                ("R1 V A E1 A R2 V E2", 2),           # delivered for age
                ("R1 V R1 V E1", 1),                  # asked again
                ("R1 R7t V Vt E7t E1 R2 V E2", 2),    # another sender
                ("R1 R2 V V E2 E1", 2),               # the same work
                ("V V E9 R1 V E1 V V", 1),            # before and after
                ("R0 V E0 R1 V E1 R0 V E0", 3),       # trials
                ("R1 V E1 R2 V", 1), ("R1 V E1 R2", 1)):
            with self.subTest(events=events):
                seen, faults = follow(self.lines(*events.split()), 2)
                self.assertEqual((seen["sync_core"], faults), (ended, []))

    def test_out_of_order(self):
        for events in ("R1 E1 V R2 V E2", "R1 E1", "R1 Vt E1", "R1 A E1",
                       "V R1 E1", "R1 V E1 V R2 V E2", "R1 V V E1 R2 V E2",
                       "R1 V R1 E1", "R1 V E2", "R1 V R2 V R3 V E3"):
            with self.subTest(events=events):
                self.assertNotEqual(
                    follow(self.lines(*events.split()), 2)[1], [])


class TraceDat(GuestCase):
    def setUp(self):
        super().setUp()
        self.boot("ipi_defer=hv",
                  {"bin/trace-cmd": TRACE_CMD, **libraries(TRACE_CMD)},
                  defer=f",segment=on,segment-name={VM},"
                  f"segment-dir={self.folder}")
        self.tool = Tool(IPIDEFER, self.folder)

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
        for _ in range(ATTEMPTS):
            path, trace = self.record()
            lines = self.merged(path).splitlines()
            # What is lost on a busy host cannot be judged.
            if not any("lost" in line.lower() for line in lines) and \
                    all(event["event"] != "lost" for event in trace.events):
                break
        else:
            self.fail(f"events were lost in {ATTEMPTS} attempts")
        self.assertGreater(sum(trace.verdicts().values()), 0)
        ended, faults = follow(lines, ISOLATED[0])
        self.assertEqual(faults, [], "\n".join(lines[:200]))
        # Each change is three requests.
        self.assertGreaterEqual(ended["sync_core"], 3 * CHANGES)
        # With another offset they are not in order.
        wrong = self.merged(path, "--tsc-offset", "0").splitlines()
        self.assertNotEqual(follow(wrong, ISOLATED[0])[1], [])

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
