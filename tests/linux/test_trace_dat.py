# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest's trace.dat and the host's trace of the same IPIs, on one timeline.

trace-cmd runs in the guest while the host records ICR writes and verdicts. Merged
by TSC, each request of the guest's comes before the host's verdicts about it and
these before the guest's own word that it is over.
"""
import base64
import collections
import gzip
import os
import re
import subprocess

import pytest

from tests.support import requirements
from tests.support.linux_guest import ISOLATED
from tests.support.segment_tool import Trace

pytestmark = [pytest.mark.nested, pytest.mark.long,
              pytest.mark.ctest(timeout=900, processors=2)]
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


def lines_of(*events):
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


class TestFollow:
    """What is out of order is found, and nothing else is."""

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
            seen, faults = follow(lines_of(*events.split()), 2)
            assert (seen["sync_core"], faults) == (ended, [])

    def test_out_of_order(self):
        for events in ("R1 E1 V R2 V E2", "R1 E1", "R1 Vt E1", "R1 A E1",
                       "V R1 E1", "R1 V E1 V R2 V E2", "R1 V V E1 R2 V E2",
                       "R1 V R1 E1", "R1 V E2", "R1 V R2 V R3 V E3"):
            assert follow(lines_of(*events.split()), 2)[1] != []


def record(guest, tool, folder):
    """@return the path of a trace.dat, and what the host saw meanwhile"""
    change = "; ".join(
        f"echo {i % 2} >/proc/sys/kernel/sched_schedstats"
        for i in range(1, CHANGES + 1))
    with Trace(tool, VM) as trace:
        guest.run(f"trace-cmd record -q -C x86-tsc -e ipi_defer_request "
                  f"-e ipi_defer_verdict -o /t.dat sh -c '{change}'")
    lines = guest.lines_of("gzip -c /t.dat | base64; rm /t.dat")
    path = folder / "t.dat"
    path.write_bytes(gzip.decompress(base64.b64decode("".join(lines))))
    return path, trace


def merged(tool, path, *more):
    return tool.run("trace", VM, "--buffered", "--guest-trace", str(path),
                    *more)


class TestTraceDat:
    @pytest.fixture
    def guest(self, boot, tool):
        trace_cmd = requirements.program("trace-cmd")
        return boot("ipi_defer=hv",
                    {"bin/trace-cmd": trace_cmd, **libraries(trace_cmd)},
                    defer=f",segment=on,segment-name={VM},segment-dir={tool.folder}")

    def test_one_timeline(self, guest, tool, tmp_path):
        for _ in range(ATTEMPTS):
            path, trace = record(guest, tool, tmp_path)
            lines = merged(tool, path).splitlines()
            # What is lost on a busy host cannot be judged.
            if not any("lost" in line.lower() for line in lines) and \
                    all(event["event"] != "lost" for event in trace.events):
                break
        else:
            pytest.fail(f"events were lost in {ATTEMPTS} attempts")
        assert sum(trace.verdicts().values()) > 0
        ended, faults = follow(lines, ISOLATED[0])
        assert faults == [], "\n".join(lines[:200])
        # Each change is three requests.
        assert ended["sync_core"] >= 3 * CHANGES
        # With another offset they are not in order.
        wrong = merged(tool, path, "--tsc-offset", "0").splitlines()
        assert follow(wrong, ISOLATED[0])[1] != []

    def test_refused(self, guest, tool, tmp_path, monkeypatch):
        broken = tmp_path / "broken.dat"
        broken.write_bytes(b"\x17\x08\x44tracing" + bytes(100))
        said = tool.run("trace", VM, "--buffered", "--guest-trace", str(broken),
                             status=1)
        assert "trace-cmd said: '" in said
        monkeypatch.setenv("PATH", str(tmp_path))
        said = tool.run("trace", VM, "--buffered", "--guest-trace", str(broken),
                             status=1)
        assert "there is no trace-cmd to read it" in said
