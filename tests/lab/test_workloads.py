# SPDX-License-Identifier: GPL-2.0-or-later
"""What each of the lab's other workloads has isolated vCPUs take, in each mode."""
import pytest

from tests.lab.test_modes import NEEDLESS
from tests.support.lab import ISOLATED, events

pytestmark = [pytest.mark.nested, pytest.mark.long,
              pytest.mark.ctest(timeout=1800, serial=True, each=True)]
# Of each: filters of processes, programs of a group, and events, as rounds have them.
FILTERS, PROGRAMS, EVENTS = 100, 30, 15
# Of the workload memory: the first swapon's callback on a vCPU, and RCU, which waits for
# it then. Neither would have to be.
MOST_WAKEUPS = 4
# Of the workload livepatch: one to the patch, and one from it. A vCPU passes by once, for
# which RCU may wait then.
TRANSITIONS, MOST_OF_A_TRANSITION = 2, 2


def wakeups(run):
    """What has an isolated vCPU look at its tasks or its tick."""
    return events(run, "reschedule") + events(run, "nohz_full_kick_func")


def assert_nothing_comes(run):
    """No interrupt at all, but a tick that a vCPU had before."""
    for callback in NEEDLESS:
        assert events(run, callback) == 0, f"{run['mode']}: {callback}"
    assert wakeups(run) == 0, run["mode"]
    taken = run["guest"]["interrupts"]
    assert sum(taken.values()) <= taken.get("LOC", 0) + taken.get("IWI", 0), taken


def off_and_deferring(lab, workload):
    """@return the run in off, and those in guest and hv"""
    lab.run("--workload", workload)
    off, *others = lab.report()["runs"]
    assert [run["mode"] for run in others] == ["guest", "hv"]
    return off, others


def assert_left_alone(lab, workload, callbacks, typed, least):
    """What off sends as function calls is asked for, and no vCPU is interrupted for it.

    @param least: how many there are at least, for each isolated vCPU
    """
    off, others = off_and_deferring(lab, workload)
    assert sum(events(off, name) for name in callbacks) >= least * len(ISOLATED)
    for run in others:
        assert events(run, f"typed:{typed}") >= least * len(ISOLATED), run["mode"]
        assert_nothing_comes(run)
    return others


def test_seccomp(lab):
    """Filters come and go in memory that is made executable, and given back."""
    assert_left_alone(lab, "seccomp", ("do_flush_tlb_all", "do_kernel_range_flush"),
                      "kernel_tlbi", FILTERS)


def test_cgroup_bpf(lab):
    """The first program of a kind switches a static key, and so does the end of the last."""
    assert_left_alone(lab, "cgroup-bpf", ["do_sync_core"], "sync_core", PROGRAMS)


def test_perf(lab):
    """Events of other CPUs switch static keys and tracepoints."""
    for run in assert_left_alone(lab, "perf", ["do_sync_core"], "sync_core", EVENTS):
        assert events(run, "remote_function") == 0, run["mode"]


def test_memory(lab):
    """Swap, compaction, merged pages, huge pages and memory hotplug are the business of the
    CPUs that do it, but for what was counted above."""
    _, others = off_and_deferring(lab, "memory")
    for run in others:
        mode = run["mode"]
        for callback in NEEDLESS:
            assert events(run, callback) == 0, f"{mode}: {callback}"
        assert wakeups(run) <= MOST_WAKEUPS * len(ISOLATED), mode
        # The loops' memory is locked, and stays where it is.
        assert run["guest"]["interrupts"].get("TLB", 0) == 0, mode


def test_livepatch(lab):
    """A transition waits 15 s for tasks in userspace, and then has each pass by, once."""
    off, others = off_and_deferring(lab, "livepatch")
    assert events(off, "do_sync_core") >= TRANSITIONS * len(ISOLATED)
    for run in others:
        mode = run["mode"]
        for callback in NEEDLESS:
            assert events(run, callback) == 0, f"{mode}: {callback}"
        assert events(run, "typed:sync_core") >= TRANSITIONS * len(ISOLATED), mode
        assert wakeups(run) <= MOST_OF_A_TRANSITION * TRANSITIONS * len(ISOLATED), mode
        assert run["guest"]["interrupts"].get("CAL", 0) == 0, mode


def test_everything(lab):
    """All of these and mixed's parts, one after another in one guest: nothing comes that
    does not come of one of them alone."""
    lab.run("--modes", "hv", "--workload", "everything")
    run, = lab.report()["runs"]
    for callback in NEEDLESS:
        assert events(run, callback) == 0, callback
    for typed, least in ("sync_core", 2 * PROGRAMS), ("kernel_tlbi", 2 * PROGRAMS):
        assert events(run, f"typed:{typed}") >= least * len(ISOLATED), typed
    most = (MOST_WAKEUPS + MOST_OF_A_TRANSITION * TRANSITIONS) * len(ISOLATED)
    assert wakeups(run) <= most
    taken = run["guest"]["interrupts"]
    # A look at the tick is a function call; so nothing else is.
    assert taken.get("CAL", 0) <= most
    assert taken.get("TLB", 0) == 0
    # What is typed comes only to a vCPU that is in the kernel for one of those.
    assert taken.get("DSC", 0) + taken.get("DTL", 0) <= most
