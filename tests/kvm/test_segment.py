# SPDX-License-Identifier: GPL-2.0-or-later
"""What the VMM shares with the host tools, and what they do with it."""
import collections
import json
import os
import signal
import time

import pytest

from tests.support.vmm import (CANNOT_RUN, DONE, MOV_0_OUT, MOSTLY_IN_RING_3, PATIENT,
                               TYPED, WatchedVmm)

pytestmark = [pytest.mark.kvm, pytest.mark.ctest(timeout=1200, processors=2)]
# Long enough in ring 3 for IPIs to be recorded also where ring 0 is emulated.
ENDLESS = f"scenario=storm rounds=100000000 {MOSTLY_IN_RING_3}"


def test_segment_steers(vmm):
    with WatchedVmm(vmm, ENDLESS) as watched:
        watched.wait_until_it_defers(20)
        shown = watched.tool.json("list")["vms"][0]
        assert (shown["name"], shown["state"]) == ("web1", "running")
        assert shown["pid"] == watched.process.pid
        assert shown["policy"]["isolated"] == "1-3"
        assert shown["producer"].startswith("ipidefer-vmm ")
        # Each of these works on the next IPI: nothing is suppressed from then on.
        for off, on, verdict in (
                (["--off"], ["--on"], "delivered-policy"),
                (["--isolated", "2-3"], ["--isolated", "1"], "delivered-not-isolated")):
            watched.tool.policy("web1", *off)
            before, delivered = watched.suppressed(), watched.count(verdict)
            watched.wait_until(verdict, lambda verdict=verdict, delivered=delivered:
                               watched.count(verdict) > delivered + 20)
            assert watched.suppressed() == before, "still deferred"
            watched.tool.policy("web1", *on)
            watched.wait_until("it defers again", lambda before=before:
                               watched.suppressed() > before + 20)
        done = watched.end(signal.SIGTERM).expect(CANNOT_RUN)
        assert not watched.has_segment(), "the segment was left behind"
    # The report shows the policy that was set.
    assert done.report["vcpus"][3]["isolated"] is False
    assert done.report["vcpus"][1]["isolated"] is True


def test_segment_trace(vmm):
    """All events of a run, from its first ICR write on, are those of the counters."""
    with WatchedVmm(vmm, "scenario=storm rounds=150", "--trace", "on",
                    "--trace-entries", "1048576") as watched:
        watched.wait_until("the VM appears", watched.has_segment)
        # Ends with the VM.
        lines = watched.tool.run("trace", "web1", "--backlog", "--read-only", "--json",
                                 timeout=None).splitlines()
        done = watched.end().expect(DONE)
    verdicts, sends, from_the_start = collections.Counter(), 0, False
    for event in map(json.loads, lines):
        assert event["event"] != "lost"
        if event["event"] == "ipi_send":
            if (event["delivery"], event["cpumask"]) == ("init", "1"):
                from_the_start = True
            if (event["delivery"], event["cpumask"]) == ("fixed", "1") and \
                    f"{event['vector']:#x}" in TYPED:
                sends += 1
            continue
        assert event["cpu"] == 1
        assert event["sender"] != 1
        verdicts["-".join(filter(None, (event["verdict"], event["reason"])))] += 1
    assert from_the_start, "the start is missing"
    assert sends == done.value("sent")
    for verdict, count in verdicts.items():
        # A whole name: no other starts with it.
        assert count == done.verdicts(1, verdict), verdict
    assert sum(verdicts.values()) == done.value("sent")


def test_segment_age(vmm):
    # Spells in ring 3 that are far longer than the limit.
    append = "scenario=storm rounds=200 stay=30000000"
    with WatchedVmm(vmm, append, "--max-age", "1ms") as watched:
        done = watched.end().expect(DONE)
    assert done.aged(1) > 0
    # I1: in addition, and counted apart.
    assert done.verdicts(1) == done.value("sent")
    assert done.value("taken") <= done.verdicts(1, "delivered") + done.aged(1)
    # The control.
    with WatchedVmm(vmm, append) as patient:
        without = patient.end().expect(DONE)
    assert without.aged(1) == 0
    without.expect_accounted()


def test_segment_lifetime(vmm):
    with WatchedVmm(vmm, ENDLESS) as watched:
        another = ("--segment", "on", "--segment-dir", watched.tool.folder, "--name", "web1")
        watched.wait_until_it_defers()
        # Another of the name is in nobody's way. Does not boot: two such guests
        # take their time.
        first = watched.tool.path()
        vmm.run_code(MOV_0_OUT, *another).expect(DONE)
        assert watched.tool.path() == first, "the segment was left behind, or taken"

        # Killed: the file stays, is known to be stale, and goes with the next.
        watched.process.kill()
        assert watched.killed_by() == signal.SIGKILL
    assert watched.tool.json("list")["vms"][0]["state"] == "stale"
    vmm.scenario(f"scenario=storm rounds=5 {PATIENT}", *another).expect(DONE)
    assert not watched.has_segment(), "the segment was left behind"


def test_segment_truncated(vmm):
    """I7: it lives, and everything is delivered."""
    with WatchedVmm(vmm, ENDLESS) as watched:
        watched.wait_until_it_defers()
        os.truncate(watched.tool.path(), 0)
        # IPIs go on, and ticks.
        time.sleep(1)
        done = watched.end(signal.SIGTERM).expect(CANNOT_RUN)
    assert done.verdicts(1, "delivered-policy") != 0
    assert done.recorded(1) == 0
    # The control.
    with WatchedVmm(vmm, ENDLESS, program=vmm.with_bug("no-guard")) as unguarded:
        unguarded.wait_until_it_defers()
        os.truncate(unguarded.tool.path(), 0)
        assert unguarded.killed_by() == signal.SIGBUS
