# SPDX-License-Identifier: GPL-2.0-or-later
"""What an operator sees of a running VM by its segment, and what it changes there."""
import os
import re

import pytest

from tests.support.contract import (ACCEPT, ALL, ASSERT, BIT, BIT2, LOGICAL, LOWEST,
                                    MSR_REGISTER, MSR_X2APIC_SELF, NMI, OTHER, OTHERS,
                                    PLAIN, REQUEST, SELF, VECTOR, binding, word)
from tests.support.machine import wait_until
from tests.support.segment_tool import Trace, delivered, qmp_counts, recorded, since

pytestmark = [pytest.mark.qemu, pytest.mark.ctest(timeout=900, processors=2)]
WAKE = 0xf0             # by which the guest's CPUs give each other commands


def volley(vm):
    """Each verdict that a guest can bring about. @return IPIs to typed
    targets, each of which has one (I1)."""
    for cpu in range(3):
        vm.register(cpu, binding(word(cpu)))
    vm.register(3, binding(word(3)), binding(word(3), OTHER, bit=BIT2))
    for cpu, value in (0, 0), (1, ACCEPT), (2, 0), (3, ACCEPT):
        vm.w32(word(cpu), value)
    for _ in range(3):
        vm.ipi(3)                 # deferred, then coalesced
    vm.ipi(3, OTHER)              # deferred
    vm.ipi(2, OTHER)              # not bound
    vm.ipi(2)                     # in kernel
    vm.ipi(1)                     # not isolated
    vm.ipi(3, PLAIN)              # passed
    vm.send(ASSERT | OTHERS | VECTOR)     # 1, 2 and 3
    vm.set("enabled", False)
    vm.ipi(2)                     # policy
    vm.set("enabled", True)
    return 3 + 1 + 1 + 1 + 1 + 3 + 1


def aged(vm):
    """How many were delivered for their age."""
    return qmp_counts(vm).get((3, VECTOR, "max-age"), 0)


def sends(trace):
    """But for what the guest sends to run the commands of the test."""
    return [e for e in trace.events
            if e["event"] == "ipi_send" and e["vector"] != WAKE]


def accounts_for(trace, counted):
    """I1, by the trace: events and counters tell of the same IPIs."""
    assert trace.verdicts() == counted
    assert "lost" not in [e["event"] for e in trace.events]


def logical_cpu_3(vm):
    if vm.configuration.x2apic:
        return 8
    for cpu in range(4):
        vm.tell(cpu, "w32", 0xfee000e0, 0xffffffff)
        vm.tell(cpu, "w32", 0xfee000d0, 1 << (24 + cpu))
    return 8


@pytest.mark.machines("tcg-xapic", long=["tcg-x2apic", "tcg-single", "doorbell",
                                         "kvm-xapic", "kvm-split-xapic", "kvm-off"])
class TestSegment:
    @pytest.fixture(scope="class")
    def options(self, configuration, tool):
        return configuration.named("web1", tool.folder)

    @pytest.fixture
    def vm(self, vm):
        vm.register(3)
        vm.w32(word(3), ACCEPT)
        if vm.configuration.kvm:
            # It is the class's.
            vm.set("max-age-ns", 0)
        return vm

    # -- list, stat -----------------------------------------------------------

    def test_list_shows_the_vm(self, vm, tool):
        shown = tool.list()["web1"]
        assert shown["state"] == "running"
        assert shown["pid"] == vm.process.pid
        assert re.search(r"^QEMU 10\.0\.", shown["producer"])
        assert len(shown["vcpus"]) == 4
        assert shown["policy"] == {
            "enabled": True, "isolated": "2-3", "user": True, "guest": True,
            "idle": True, "denied_vectors": [], "max_age_ns": 0, "trace": 0}
        assert [v["bound"] for v in shown["vcpus"]] == [False, False, False, True]

    def test_file_is_the_owners_only(self, vm, tool):
        assert tool.files() == ["ipidefer.web1~"]
        status = os.stat(tool.path())
        assert status.st_mode & 0o7777 == 0o600

    def test_counters_are_those_of_qmp(self, vm, tool):
        before = tool.counts("web1")
        sent = volley(vm)
        counted = since(tool.counts("web1"), before)
        assert counted == {
            (1, VECTOR, "delivered-not-isolated"): 2,
            (2, VECTOR, "delivered-in-kernel"): 2,
            (2, VECTOR, "delivered-policy"): 1,
            (2, OTHER, "delivered-not-bound"): 1,
            (3, VECTOR, "deferred"): 1,
            (3, VECTOR, "coalesced"): 3,
            (3, OTHER, "deferred"): 1}
        assert sum(counted.values()) == sent
        assert tool.counts("web1") == qmp_counts(vm)
        # One more or less is a difference.
        vm.ipi(3)
        assert since(tool.counts("web1"), before) != counted

    def test_stat_shows_what_waits_and_since_when(self, vm, tool):
        wait_until("seen", lambda:
                   tool.stat("web1")["vcpus"][3]["context"]
                   != "kernel")
        assert tool.stat("web1")["oldest_pending_ns"] is None
        vm.ipi(3)
        # Without a max-age, a tick takes the time.
        wait_until("it is shown", lambda:
                   tool.stat("web1")["oldest_pending_ns"] is not None)
        age = tool.stat("web1")["vcpus"][3]["oldest_pending_ns"]
        wait_until("it grows older", lambda:
                   tool.stat("web1")["oldest_pending_ns"] > age)
        # The guest does the work: a tick finds out.
        vm.w32(word(3), ACCEPT)
        wait_until("done", lambda:
                   tool.stat("web1")["oldest_pending_ns"] is None)

    # -- policy ---------------------------------------------------------------

    def test_kill_switch_of_the_tool_works_on_the_next_ipi(self, vm, tool):
        recorded(vm, tool)
        tool.policy("web1", "--off")
        delivered(vm, tool, "policy")
        assert vm.get("enabled") is False
        assert vm.qmp("query-ipi-defer")["enabled"] is False
        tool.policy("web1", "--on")
        recorded(vm, tool)
        assert vm.get("enabled") is True

    def test_isolated_cpus_changed_while_running(self, vm, tool):
        recorded(vm, tool)
        tool.policy("web1", "--isolated", "0-1")
        assert vm.get("isolated-cpus") == [0, 1]
        assert ([c["isolated"] for c in vm.qmp("query-ipi-defer")["cpus"]]
                == [True, True, False, False])
        delivered(vm, tool, "not-isolated")
        # And by QMP, which the tool sees.
        vm.set("isolated-cpus", [0, 3])
        assert tool.policy("web1")["isolated"] == "0,3"
        recorded(vm, tool)

    def test_setting_one_thing_leaves_what_the_tool_set_of_others(self, vm, tool):
        tool.policy("web1", "--isolated", "1,3", "--idle", "off",
                         "--vector", f"{PLAIN:#x}=off", "--max-age", "7s")
        vm.set("user", False)
        vm.set("enabled", False)
        vm.set("enabled", True)
        assert tool.policy("web1") == {
            "enabled": True, "isolated": "1,3", "user": False, "guest": True,
            "idle": False, "denied_vectors": [f"{PLAIN:#x}"],
            "max_age_ns": 7 * 10**9, "trace": 0}
        assert vm.get("isolated-cpus") == [1, 3]
        assert vm.get("max-age-ns") == 7 * 10**9
        assert ([vm.get(n) for n in ("user", "guest", "idle")]
                == [False, True, False])
        assert PLAIN not in vm.get("vectors")
        vm.set("idle", True)
        vm.set("user", True)
        assert tool.policy("web1")["isolated"] == "1,3"
        recorded(vm, tool)

    def test_vectors_and_contexts(self, vm, tool):
        tool.policy("web1", "--vector", f"{VECTOR:#x}=off")
        assert VECTOR not in vm.get("vectors")
        delivered(vm, tool, "policy")
        vm.set("vectors", [VECTOR])
        recorded(vm, tool)
        assert f"{VECTOR:#x}" not in tool.policy("web1")["denied_vectors"]
        # A word that does not tell the state needs all three.
        tool.policy("web1", "--guest", "off")
        assert vm.get("guest") is False
        delivered(vm, tool, "policy")
        tool.policy("web1", "--guest", "on")
        recorded(vm, tool)

    def test_info_shows_segment_and_age(self, vm):
        vm.set("max-age-ns", 5)
        text = vm.hmp("info ipi-defer")
        assert "segment of VM 'web1', max-age 5 ns" in text
        info = vm.qmp("query-ipi-defer")
        assert (info["segment"], info["max-age-ns"]) == ("web1", 5)

    # -- max-age --------------------------------------------------------------

    def test_work_that_waits_too_long_is_delivered_and_counted_apart(self, vm, tool):
        recorded(vm, tool)
        taken, before = vm.taken(3, VECTOR), tool.counts("web1")
        tool.policy("web1", "--max-age", "5ms")
        wait_until("delivered for age",
                   lambda: vm.taken(3, VECTOR) > taken)
        # I2: the bit stays, until the guest does the work; then it is over.
        assert vm.r32(word(3)) == ACCEPT | BIT
        vm.w32(word(3), ACCEPT)
        wait_until("done", lambda:
                   tool.stat("web1")["oldest_pending_ns"] is None)
        counted = since(tool.counts("web1"), before)
        late = counted.pop((3, VECTOR, "max-age"))
        # I1: no verdict but the one that it had.
        assert counted == {}
        assert vm.taken(3, VECTOR) == taken + late
        assert tool.counts("web1") == qmp_counts(vm)
        # With nothing waiting nothing is delivered: ticks go by, as the live
        # view of another CPU's new binding shows.
        vm.register(2)
        vm.w32(word(2), ACCEPT | BIT)
        wait_until("a tick", lambda:
                   tool.stat("web1")["vcpus"][2]["oldest_pending_ns"] is not None)
        vm.wrmsr(2, MSR_REGISTER, 0)
        assert since(tool.counts("web1"), before).get((3, VECTOR, "max-age")) == late
        assert vm.taken(3, VECTOR) == taken + late

    def test_without_max_age_work_waits(self, vm, tool):
        """The control of the test above."""
        recorded(vm, tool)
        taken, before = vm.taken(3, VECTOR), tool.counts("web1")
        for bit in ACCEPT | BIT, ACCEPT, ACCEPT | BIT, ACCEPT:
            # Ticks, as above.
            vm.register(2)
            vm.w32(word(2), bit)
            wait_until("a tick", lambda b=bit: bool(
                tool.stat("web1")["vcpus"][2]["oldest_pending_ns"])
                == bool(b & BIT))
        assert since(tool.counts("web1"), before) == {}
        assert vm.taken(3, VECTOR) == taken
        assert vm.r32(word(3)) == ACCEPT | BIT

    def test_max_age_by_qmp(self, vm, tool):
        vm.set("max-age-ns", 3_000_000)
        assert tool.policy("web1")["max_age_ns"] == 3_000_000
        vm.ipi(3)
        wait_until("delivered for age", lambda: aged(vm) > 0)
        vm.set("max-age-ns", 0)

    # -- trace ----------------------------------------------------------------

    def test_trace_shows_each_send_and_each_verdict(self, vm, tool):
        before = tool.counts("web1")
        with Trace(tool, "web1") as trace:
            volley(vm)
        counted = since(tool.counts("web1"), before)
        assert len(counted) == 7
        accounts_for(trace, counted)
        assert [(e["sender"], e["cpumask"], e["vector"], e["delivery"], e["shorthand"])
                for e in sends(trace)] == [
            *[(0, "3", VECTOR, "fixed", "none")] * 3,
            (0, "3", OTHER, "fixed", "none"),
            (0, "2", OTHER, "fixed", "none"),
            (0, "2", VECTOR, "fixed", "none"),
            (0, "1", VECTOR, "fixed", "none"),
            (0, "3", PLAIN, "fixed", "none"),
            (0, "1-3", VECTOR, "fixed", "all-but-self"),
            (0, "2", VECTOR, "fixed", "none")]
        for event in trace.events:
            if event["event"] == "ipi_verdict":
                assert event["sender"] == 0
                if event["cpu"] == 3:
                    assert event["word"] & ACCEPT == ACCEPT
        # And it is over: nothing is traced now.
        assert tool.policy("web1")["trace"] == 0
        shown = tool.run("trace", "web1", "--buffered")
        vm.ipi(3)
        assert tool.run("trace", "web1", "--buffered") == shown

    def test_trace_that_lacks_an_event_does_not_account_for_the_ipis(self, vm, tool):
        """The control of the test above."""
        before = tool.counts("web1")
        with Trace(tool, "web1") as trace:
            vm.ipi(3)
            vm.ipi(3)
        counted = since(tool.counts("web1"), before)
        accounts_for(trace, counted)
        trace.events.remove([e for e in trace.events
                             if e["event"] == "ipi_verdict"][0])
        with pytest.raises(AssertionError):
            accounts_for(trace, counted)

    def test_trace_names_other_senders(self, vm, tool):
        with Trace(tool, "web1") as trace:
            vm.ipi(3, cpu=1)
            vm.ipi(3, cpu=2)
        assert [e["sender"] for e in sends(trace)] == [1, 2]
        assert ([e["sender"] for e in trace.events if e["event"] == "ipi_verdict"]
                == [1, 2])

    def test_trace_shows_deliveries_for_age(self, vm, tool):
        recorded(vm, tool)
        before = tool.counts("web1")
        with Trace(tool, "web1", "-e", "ipi_verdict") as trace:
            tool.policy("web1", "--max-age", "2ms")
            wait_until("delivered for age", lambda: aged(vm) > 2)
            vm.w32(word(3), ACCEPT)
            tool.policy("web1", "--max-age", "0")
            wait_until("done", lambda: tool.stat(
                "web1")["oldest_pending_ns"] is None)
        accounts_for(trace, since(tool.counts("web1"), before))

    def test_trace_filters(self, vm, tool):
        with Trace(tool, "web1", "-e", "ipi_send",
                   "-f", f"cpumask & CPUS{{3}} && vector != {PLAIN}") as trace:
            vm.ipi(2)
            vm.ipi(3)
            vm.ipi(3, PLAIN)
            vm.send(ASSERT | OTHERS | VECTOR)
        assert [e["cpumask"] for e in trace.events] == ["3", "1-3"]

    def test_trace_of_an_icr_whatever_it_asks_for(self, vm, tool):
        """Also of a guest that has registered nothing."""
        vm.wrmsr(3, MSR_REGISTER, 0)
        with Trace(tool, "web1") as trace:
            vm.icr(ASSERT | NMI, 3)
            vm.icr(ASSERT | LOWEST | PLAIN, 3)
            vm.icr(ASSERT | PLAIN, 2)
            vm.icr(ASSERT | SELF | PLAIN)
            vm.icr(ASSERT | ALL | PLAIN)
            vm.icr(ASSERT | LOGICAL | PLAIN, logical_cpu_3(vm))
        seen = [(e["cpumask"], e["delivery"], e["shorthand"], e["dest_mode"])
                for e in sends(trace)]
        # The kernel's local APIC tells nobody.
        in_the_kernel = vm.configuration.base in ("kvm-xapic", "kvm-split-xapic")
        assert seen == ([] if in_the_kernel else [
            ("3", "nmi", "none", "physical"),
            ("3", "lowest", "none", "physical"),
            ("2", "fixed", "none", "physical"),
            ("0", "fixed", "self", "physical"),
            ("0-3", "fixed", "all", "physical"),
            ("3", "fixed", "none", "logical")])

    @pytest.mark.only("tcg-x2apic")
    def test_trace_of_the_self_ipi_register(self, vm, tool):
        with Trace(tool, "web1") as trace:
            vm.wrmsr(3, MSR_X2APIC_SELF, PLAIN)
        assert ([(e["sender"], e["cpumask"], e["vector"]) for e in sends(trace)]
                == [(3, "3", PLAIN)])

    @pytest.mark.only("doorbell", "kvm-xapic", "kvm-split-xapic")
    def test_trace_of_a_multicast(self, vm, tool):
        before = tool.counts("web1")
        with Trace(tool, "web1") as trace:
            vm.ring_multi(1, REQUEST, VECTOR, 1, 0, 2, 9)
        assert ([(e["sender"], e["cpumask"], e["dest"]) for e in sends(trace)]
                == [(1, "1,3", 1)])
        accounts_for(trace, since(tool.counts("web1"), before))
