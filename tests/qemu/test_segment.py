#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of the segment that the patched QEMU shares with the host tools.

    test_segment.py [-v] [CLASS[.TEST]]...

As test_qemu.py, and with the same guest; IPIDEFER_CLI is the ipidefer command.
IPIDEFER_MUTANT_SEGMENT, mutant_segment.c as a shared object, is what some tests
need to show that they would fail (skipped without).
"""
import os
import re
import signal
import struct
import tempfile
import time
import unittest

import test_qemu
from machine import TIMEOUT, Failed
from segment_tool import IPIDEFER, Tool, Trace, since
from test_qemu import (ACCEPT, ALL, ASSERT, BIT, BIT2, CODE, GUEST, LOGICAL,
                       LOWEST, NMI, NO_KVM, OTHER, OTHERS, PLAIN, QEMU, SELF,
                       VECTOR, Base, Kvm, binding, preloaded, word)

MUTANT = os.environ.get("IPIDEFER_MUTANT_SEGMENT", "")
WAKE = 0xf0             # by which the guest's CPUs give each other commands
OBJECT = "ipi-defer,id=d0,isolated-cpus=2-3,idle=on"


class SegmentBase(Base):
    """One machine, "web1", and a folder for its segment."""

    extra = ""              # more properties
    more = ()               # more options
    shared = False          # one machine for all tests of the class

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.addClassCleanup(cls.new_folder())

    @classmethod
    def new_folder(cls):
        """@return what removes it."""
        folder = tempfile.TemporaryDirectory(prefix="ipidefer-segment-")
        cls.folder = folder.name
        cls.tool = Tool(cls.folder)
        cls.options = cls.named("web1")
        return folder.cleanup

    @classmethod
    def named(cls, name, properties=""):
        return ("-name", f"guest={name}", "-object",
                f"{OBJECT},segment=on,segment-dir={cls.folder}"
                f"{cls.extra}{properties}", *cls.more)

    def files(self):
        """In the folder, without the random numbers of segments."""
        return sorted(re.sub("~[0-9a-f]{8}$", "~", name)
                      for name in os.listdir(self.folder))

    def path(self):
        """Of the file of "web1"."""
        found = [name for name in os.listdir(self.folder)
                 if name.startswith("ipidefer.web1~")]
        self.assertEqual(len(found), 1)
        return os.path.join(self.folder, found[0])

    def counts(self):
        return self.tool.counts("web1")

    def qmp_counts(self):
        """As Tool.counts(), by QMP."""
        return {(cpu["cpu-index"], row["vector"], verdict): n
                for cpu in self.m.qmp("query-ipi-defer")["cpus"]
                for row in cpu["counters"] for verdict, n in row.items()
                if verdict not in ("vector", "merged") and n}

    # What becomes of one IPI to CPU 3.

    def recorded(self):
        taken, before = self.m.taken(3, VECTOR), self.counts()
        self.m.w32(word(3), ACCEPT)
        self.ipi(3)
        self.assertEqual(since(self.counts(), before),
                         {(3, VECTOR, "deferred"): 1})
        self.assertEqual(self.m.r32(word(3)), ACCEPT | BIT)
        self.assertEqual(self.m.taken(3, VECTOR), taken)

    def delivered(self, reason):
        taken, before = self.m.taken(3, VECTOR), self.counts()
        self.m.w32(word(3), ACCEPT)
        self.ipi(3)
        self.assertEqual(since(self.counts(), before),
                         {(3, VECTOR, f"delivered-{reason}"): 1})
        self.assertEqual(self.m.r32(word(3)), ACCEPT)
        self.assertEqual(self.m.taken(3, VECTOR), taken + 1)

    def volley(self):
        """Each verdict that a guest can bring about. @return IPIs to typed
        targets, each of which has one (I1)."""
        for cpu in range(3):
            self.register(cpu, binding(word(cpu)))
        self.register(3, binding(word(3)), binding(word(3), OTHER, bit=BIT2))
        for cpu, value in (0, 0), (1, ACCEPT), (2, 0), (3, ACCEPT):
            self.m.w32(word(cpu), value)
        for _ in range(3):
            self.ipi(3)                 # deferred, then coalesced
        self.ipi(3, OTHER)              # deferred
        self.ipi(2, OTHER)              # not bound
        self.ipi(2)                     # in kernel
        self.ipi(1)                     # not isolated
        self.ipi(3, PLAIN)              # passed
        self.send(ASSERT | OTHERS | VECTOR)     # 1, 2 and 3
        self.m.set("enabled", False)
        self.ipi(2)                     # policy
        self.m.set("enabled", True)
        return 3 + 1 + 1 + 1 + 1 + 3 + 1


class Segment(SegmentBase):
    """What the tools see and do, where the ICR is intercepted."""

    icr_seen = True

    def setUp(self):
        super().setUp()
        self.start()
        self.register(3)
        self.m.w32(word(3), ACCEPT)

    # -- list, stat -----------------------------------------------------------

    def test_list_shows_the_vm(self):
        vm = self.tool.list()["web1"]
        self.assertEqual(vm["state"], "running")
        self.assertEqual(vm["pid"], self.m.process.pid)
        self.assertRegex(vm["producer"], r"^QEMU 10\.0\.")
        self.assertEqual(len(vm["vcpus"]), 4)
        self.assertEqual(vm["policy"], {
            "enabled": True, "isolated": "2-3", "user": True, "guest": True,
            "idle": True, "denied_vectors": [], "max_age_ns": 0, "trace": 0})
        self.assertEqual([v["bound"] for v in vm["vcpus"]],
                         [False, False, False, True])

    def test_file_is_the_owners_only(self):
        self.assertEqual(self.files(), ["ipidefer.web1~"])
        status = os.stat(self.path())
        self.assertEqual(status.st_mode & 0o7777, 0o600)

    def test_counters_are_those_of_qmp(self):
        before = self.counts()
        sent = self.volley()
        counted = since(self.counts(), before)
        self.assertEqual(counted, {
            (1, VECTOR, "delivered-not-isolated"): 2,
            (2, VECTOR, "delivered-in-kernel"): 2,
            (2, VECTOR, "delivered-policy"): 1,
            (2, OTHER, "delivered-not-bound"): 1,
            (3, VECTOR, "deferred"): 1,
            (3, VECTOR, "coalesced"): 3,
            (3, OTHER, "deferred"): 1})
        self.assertEqual(sum(counted.values()), sent)
        self.assertEqual(self.counts(), self.qmp_counts())
        # One more or less is a difference.
        self.ipi(3)
        self.assertNotEqual(since(self.counts(), before), counted)

    def test_stat_shows_what_waits_and_since_when(self):
        self.wait_until("seen", lambda:
                        self.tool.stat("web1")["vcpus"][3]["context"]
                        != "kernel")
        self.assertIsNone(self.tool.stat("web1")["oldest_pending_ns"])
        self.ipi(3)
        # Without a max-age, a tick takes the time.
        self.wait_until("it is shown", lambda:
                        self.tool.stat("web1")["oldest_pending_ns"] is not None)
        age = self.tool.stat("web1")["vcpus"][3]["oldest_pending_ns"]
        self.wait_until("it grows older", lambda:
                        self.tool.stat("web1")["oldest_pending_ns"] > age)
        # The guest does the work: a tick finds out.
        self.m.w32(word(3), ACCEPT)
        self.wait_until("done", lambda:
                        self.tool.stat("web1")["oldest_pending_ns"] is None)

    # -- policy ---------------------------------------------------------------

    def test_kill_switch_of_the_tool_works_on_the_next_ipi(self):
        self.recorded()
        self.tool.policy("web1", "--off")
        self.delivered("policy")
        self.assertIs(self.m.get("enabled"), False)
        self.assertIs(self.m.qmp("query-ipi-defer")["enabled"], False)
        self.tool.policy("web1", "--on")
        self.recorded()
        self.assertIs(self.m.get("enabled"), True)

    def test_isolated_cpus_changed_while_running(self):
        self.recorded()
        self.tool.policy("web1", "--isolated", "0-1")
        self.assertEqual(self.m.get("isolated-cpus"), [0, 1])
        self.assertEqual([c["isolated"] for c in
                          self.m.qmp("query-ipi-defer")["cpus"]],
                         [True, True, False, False])
        self.delivered("not-isolated")
        # And by QMP, which the tool sees.
        self.m.set("isolated-cpus", [0, 3])
        self.assertEqual(self.tool.policy("web1")["isolated"], "0,3")
        self.recorded()

    def test_setting_one_thing_leaves_what_the_tool_set_of_others(self):
        self.tool.policy("web1", "--isolated", "1,3", "--idle", "off",
                         "--vector", f"{PLAIN:#x}=off", "--max-age", "7s")
        self.m.set("user", False)
        self.m.set("enabled", False)
        self.m.set("enabled", True)
        self.assertEqual(self.tool.policy("web1"), {
            "enabled": True, "isolated": "1,3", "user": False, "guest": True,
            "idle": False, "denied_vectors": [f"{PLAIN:#x}"],
            "max_age_ns": 7 * 10**9, "trace": 0})
        self.assertEqual(self.m.get("isolated-cpus"), [1, 3])
        self.assertEqual(self.m.get("max-age-ns"), 7 * 10**9)
        self.assertEqual([self.m.get(n) for n in ("user", "guest", "idle")],
                         [False, True, False])
        self.assertNotIn(PLAIN, self.m.get("vectors"))
        self.m.set("idle", True)
        self.m.set("user", True)
        self.assertEqual(self.tool.policy("web1")["isolated"], "1,3")
        self.recorded()

    def test_vectors_and_contexts(self):
        self.tool.policy("web1", "--vector", f"{VECTOR:#x}=off")
        self.assertNotIn(VECTOR, self.m.get("vectors"))
        self.delivered("policy")
        self.m.set("vectors", [VECTOR])
        self.recorded()
        self.assertNotIn(f"{VECTOR:#x}",
                         self.tool.policy("web1")["denied_vectors"])
        # A word that does not tell the state needs all three.
        self.tool.policy("web1", "--guest", "off")
        self.assertIs(self.m.get("guest"), False)
        self.delivered("policy")
        self.tool.policy("web1", "--guest", "on")
        self.recorded()

    def test_info_shows_segment_and_age(self):
        self.m.set("max-age-ns", 5)
        text = self.m.hmp("info ipi-defer")
        self.assertIn("segment of VM 'web1', max-age 5 ns", text)
        info = self.m.qmp("query-ipi-defer")
        self.assertEqual((info["segment"], info["max-age-ns"]), ("web1", 5))

    # -- max-age --------------------------------------------------------------

    def aged(self):
        return self.qmp_counts().get((3, VECTOR, "max-age"), 0)

    def test_work_that_waits_too_long_is_delivered_and_counted_apart(self):
        self.recorded()
        taken, before = self.m.taken(3, VECTOR), self.counts()
        self.tool.policy("web1", "--max-age", "5ms")
        self.wait_until("delivered for age",
                        lambda: self.m.taken(3, VECTOR) > taken)
        # I2: the bit stays, until the guest does the work; then it is over.
        self.assertEqual(self.m.r32(word(3)), ACCEPT | BIT)
        self.m.w32(word(3), ACCEPT)
        self.wait_until("done", lambda:
                        self.tool.stat("web1")["oldest_pending_ns"] is None)
        counted = since(self.counts(), before)
        aged = counted.pop((3, VECTOR, "max-age"))
        # I1: no verdict but the one that it had.
        self.assertEqual(counted, {})
        self.assertEqual(self.m.taken(3, VECTOR), taken + aged)
        self.assertEqual(self.counts(), self.qmp_counts())
        # With nothing waiting nothing is delivered: ticks go by, as the live
        # view of another CPU's new binding shows.
        self.register(2)
        self.m.w32(word(2), ACCEPT | BIT)
        self.wait_until("a tick", lambda:
                        self.tool.stat("web1")["vcpus"][2]["oldest_pending_ns"])
        self.m.wrmsr(2, test_qemu.MSR_REGISTER, 0)
        self.assertEqual(since(self.counts(), before).get(
            (3, VECTOR, "max-age")), aged)
        self.assertEqual(self.m.taken(3, VECTOR), taken + aged)

    def test_without_max_age_work_waits(self):
        """The control of the test above."""
        self.recorded()
        taken, before = self.m.taken(3, VECTOR), self.counts()
        for bit in ACCEPT | BIT, ACCEPT, ACCEPT | BIT, ACCEPT:
            # Ticks, as above.
            self.register(2)
            self.m.w32(word(2), bit)
            self.wait_until("a tick", lambda b=bit: bool(
                self.tool.stat("web1")["vcpus"][2]["oldest_pending_ns"])
                == bool(b & BIT))
        self.assertEqual(since(self.counts(), before), {})
        self.assertEqual(self.m.taken(3, VECTOR), taken)
        self.assertEqual(self.m.r32(word(3)), ACCEPT | BIT)

    def test_max_age_by_qmp(self):
        self.m.set("max-age-ns", 3_000_000)
        self.assertEqual(self.tool.policy("web1")["max_age_ns"], 3_000_000)
        self.ipi(3)
        self.wait_until("delivered for age", lambda: self.aged() > 0)
        self.m.set("max-age-ns", 0)

    # -- trace ----------------------------------------------------------------

    @staticmethod
    def sends(trace):
        """But for what the guest sends to run the commands of the test."""
        return [e for e in trace.events
                if e["event"] == "ipi_send" and e["vector"] != WAKE]

    def accounts_for(self, trace, counted):
        """I1, by the trace: events and counters tell of the same IPIs."""
        self.assertEqual(trace.verdicts(), counted)
        self.assertNotIn("lost", [e["event"] for e in trace.events])

    def test_trace_shows_each_send_and_each_verdict(self):
        before = self.counts()
        with Trace(self.tool, "web1") as trace:
            self.volley()
        counted = since(self.counts(), before)
        self.assertEqual(len(counted), 7)
        self.accounts_for(trace, counted)
        self.assertEqual(
            [(e["sender"], e["cpumask"], e["vector"], e["delivery"],
              e["shorthand"]) for e in self.sends(trace)],
            [(0, "3", VECTOR, "fixed", "none")] * 3
            + [(0, "3", OTHER, "fixed", "none"),
               (0, "2", OTHER, "fixed", "none"),
               (0, "2", VECTOR, "fixed", "none"),
               (0, "1", VECTOR, "fixed", "none"),
               (0, "3", PLAIN, "fixed", "none"),
               (0, "1-3", VECTOR, "fixed", "all-but-self"),
               (0, "2", VECTOR, "fixed", "none")])
        for event in trace.events:
            if event["event"] == "ipi_verdict":
                self.assertEqual(event["sender"], 0)
                if event["cpu"] == 3:
                    self.assertEqual(event["word"] & ACCEPT, ACCEPT)
        # And it is over: nothing is traced now.
        self.assertEqual(self.tool.policy("web1")["trace"], 0)
        shown = self.tool.run("trace", "web1", "--buffered")
        self.ipi(3)
        self.assertEqual(self.tool.run("trace", "web1", "--buffered"), shown)

    def test_trace_that_lacks_an_event_does_not_account_for_the_ipis(self):
        """The control of the test above."""
        before = self.counts()
        with Trace(self.tool, "web1") as trace:
            self.ipi(3)
            self.ipi(3)
        counted = since(self.counts(), before)
        self.accounts_for(trace, counted)
        trace.events.remove([e for e in trace.events
                             if e["event"] == "ipi_verdict"][0])
        with self.assertRaises(AssertionError):
            self.accounts_for(trace, counted)

    def test_trace_names_other_senders(self):
        with Trace(self.tool, "web1") as trace:
            self.ipi(3, cpu=1)
            self.ipi(3, cpu=2)
        self.assertEqual([e["sender"] for e in self.sends(trace)], [1, 2])
        self.assertEqual([e["sender"] for e in trace.events
                          if e["event"] == "ipi_verdict"], [1, 2])

    def test_trace_shows_deliveries_for_age(self):
        self.recorded()
        before = self.counts()
        with Trace(self.tool, "web1", "-e", "ipi_verdict") as trace:
            self.tool.policy("web1", "--max-age", "2ms")
            self.wait_until("delivered for age", lambda: self.aged() > 2)
            self.m.w32(word(3), ACCEPT)
            self.tool.policy("web1", "--max-age", "0")
            self.wait_until("done", lambda: self.tool.stat(
                "web1")["oldest_pending_ns"] is None)
        self.accounts_for(trace, since(self.counts(), before))

    def test_trace_filters(self):
        with Trace(self.tool, "web1", "-e", "ipi_send",
                   "-f", f"cpumask & CPUS{{3}} && vector != {PLAIN}") as trace:
            self.ipi(2)
            self.ipi(3)
            self.ipi(3, PLAIN)
            self.send(ASSERT | OTHERS | VECTOR)
        self.assertEqual([e["cpumask"] for e in trace.events], ["3", "1-3"])

    def test_trace_of_an_icr_whatever_it_asks_for(self):
        """Also of a guest that has registered nothing."""
        self.m.wrmsr(3, test_qemu.MSR_REGISTER, 0)
        with Trace(self.tool, "web1") as trace:
            self.icr(ASSERT | NMI, 3)
            self.icr(ASSERT | LOWEST | PLAIN, 3)
            self.icr(ASSERT | PLAIN, 2)
            self.icr(ASSERT | SELF | PLAIN)
            self.icr(ASSERT | ALL | PLAIN)
            self.icr(ASSERT | LOGICAL | PLAIN, self.logical_cpu_3())
        self.assertEqual(
            [(e["cpumask"], e["delivery"], e["shorthand"], e["dest_mode"])
             for e in self.sends(trace)],
            [("3", "nmi", "none", "physical"),
             ("3", "lowest", "none", "physical"),
             ("2", "fixed", "none", "physical"),
             ("0", "fixed", "self", "physical"),
             ("0-3", "fixed", "all", "physical"),
             ("3", "fixed", "none", "logical")] if self.icr_seen else [])

    def icr(self, low, dest=0):
        """A write to the ICR, where send() may ring the doorbell."""
        Base.send(self, low, dest)

    def logical_cpu_3(self):
        if self.x2apic:
            return 8
        for cpu in range(4):
            self.m.tell(cpu, "w32", 0xfee000e0, 0xffffffff)
            self.m.tell(cpu, "w32", 0xfee000d0, 1 << (24 + cpu))
        return 8


class SegmentX2apic(Segment):
    x2apic = True
    more = ("-cpu", "qemu64,+x2apic")

    def test_trace_of_the_self_ipi_register(self):
        with Trace(self.tool, "web1") as trace:
            self.m.wrmsr(3, test_qemu.MSR_X2APIC_SELF, PLAIN)
        self.assertEqual([(e["sender"], e["cpumask"], e["vector"])
                          for e in self.sends(trace)], [(3, "3", PLAIN)])


class SegmentSingleThread(Segment):
    accel = "tcg,thread=single"


class SegmentDoorbell(Segment):
    """The doorbell; the ICR, which is not offered, is seen all the same."""

    extra = ",doorbell=on,icr=off"

    def send(self, low, dest=0, cpu=0, machine=None):
        (machine or self.m).ring(cpu, dest << 32 | low)

    def test_trace_of_a_multicast(self):
        before = self.counts()
        with Trace(self.tool, "web1") as trace:
            self.m.ring_multi(1, test_qemu.REQUEST, VECTOR, 1, 0, 2, 9)
        self.assertEqual([(e["sender"], e["cpumask"], e["dest"])
                          for e in self.sends(trace)], [(1, "1,3", 1)])
        self.accounts_for(trace, since(self.counts(), before))


class SegmentShared(Kvm, Segment):
    """One machine for all tests of a class, as firmware is slow to start."""

    icr_seen = False

    def setUp(self):
        super().setUp()
        self.m.set("max-age-ns", 0)


class SegmentKvm(SegmentShared):
    test_trace_of_a_multicast = SegmentDoorbell.test_trace_of_a_multicast


class SegmentKvmSplit(SegmentKvm):
    accel = "kvm,kernel-irqchip=split"


class SegmentKvmOff(SegmentShared):
    accel = "kvm,kernel-irqchip=off"
    icr_seen = True
    send = Base.send


class SegmentLifetime(SegmentBase):
    """Where a segment comes from, and where it goes."""

    def setUp(self):
        super().setUp()
        # Machines that a test does not end are killed, and leave theirs.
        self.addCleanup(self.new_folder())

    def refused(self, *options):
        with self.assertRaises(Failed) as caught:
            self.boot(options=options)
        return str(caught.exception)

    def test_two_of_one_name(self):
        self.start()
        self.register(3)
        self.recorded()
        first = self.tool.stat("web1")["id"]
        other = self.boot(options=self.named("web1"))
        self.assertEqual(self.files(), ["ipidefer.web1~", "ipidefer.web1~"])
        self.assertIn("there are 2 VMs 'web1', give the ID of one:",
                      self.tool.run("stat", "web1", status=1))
        (second,) = {vm["id"] for vm in self.tool.list().values()} - {first}
        self.assertEqual(self.tool.stat(second)["out_of_range"], [])
        # Each has a policy of its own.
        self.tool.run("policy", second, "--off")
        self.assertFalse(other.get("enabled"))
        self.assertTrue(self.m.get("enabled"))
        self.assertTrue(self.tool.policy(first)["enabled"])

    def test_default_folder_is_the_users_own(self):
        self.start(options=("-name", "ipidefer-test", "-object",
                            f"{OBJECT},segment=on"))
        try:
            own = f"/dev/shm/ipidefer-{os.geteuid()}"
            self.assertEqual(os.stat(own).st_mode & 0o7777, 0o755)
            self.assertEqual(self.files(), [])
            self.assertEqual(len([name for name in os.listdir(own) if
                                  name.startswith("ipidefer.ipidefer-test~")]),
                             1)
        finally:
            self.m.qmp("quit")
            self.m.process.wait(TIMEOUT)

    def test_file_goes_when_qemu_ends(self):
        self.start()
        self.assertEqual(self.files(), ["ipidefer.web1~"])
        self.m.qmp("quit")
        self.assertEqual(self.m.process.wait(TIMEOUT), 0)
        self.assertEqual(self.files(), [])

    def test_file_goes_when_qemu_is_asked_to_end(self):
        self.start()
        self.m.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.m.process.wait(TIMEOUT), 0)
        self.assertEqual(self.files(), [])

    def test_file_goes_when_qemu_fails_after_all(self):
        self.assertIn("'/nonexistent'", self.refused(
            *self.options, "-incoming", "file:/nonexistent"))
        self.assertEqual(self.files(), [])

    @unittest.skipUnless(MUTANT, "IPIDEFER_MUTANT_SEGMENT is not set")
    def test_file_that_does_not_go_is_seen(self):
        """The control of the three above."""
        with preloaded(MUTANT, "keep"):
            self.start()
        with self.assertRaises(AssertionError):
            self.m.qmp("quit")
            self.assertEqual(self.m.process.wait(TIMEOUT), 0)
            self.assertEqual(self.files(), [])

    def test_killed_qemu_leaves_a_stale_segment_that_the_next_replaces(self):
        self.start()
        pid = self.m.process.pid
        self.m.process.kill()
        self.m.process.wait(TIMEOUT)
        vm = self.tool.list()["web1"]
        self.assertEqual((vm["state"], vm["pid"]), ("stale", pid))
        self.start()
        vm = self.tool.list()["web1"]
        self.assertEqual((vm["state"], vm["pid"]),
                         ("running", self.m.process.pid))
        self.m.process.kill()
        self.m.process.wait(TIMEOUT)
        self.tool.run("list", "--clean")
        self.assertEqual(self.files(), [])

    def truncate(self):
        os.truncate(self.path(), 0)

    def test_truncated_segment_delivers_everything_and_the_vm_lives(self):
        self.start()
        self.register(3)
        self.recorded()
        taken = self.m.taken(3, VECTOR)
        self.truncate()
        for n, sender in enumerate(range(3), 1):
            self.ipi(3, cpu=sender)
            # Asked each time: two that wait are one interrupt.
            self.assertEqual(self.m.taken(3, VECTOR), taken + n)
        self.register(2)
        # None of them was recorded, and none was lost (I4).
        self.assertEqual(self.m.taken(3, VECTOR), taken + 3)
        self.assertIs(self.m.get("enabled"), False)
        self.assertEqual(self.m.counters(3, VECTOR), {"delivered-policy": 3})
        self.assertIn("has 0 bytes: not a segment",
                      self.tool.run("stat", "web1", status=1))
        # What QMP sets still holds.
        self.m.set("isolated-cpus", [3])
        for name in "user", "guest", "idle", "enabled":
            self.m.set(name, True)
        self.m.w32(word(3), ACCEPT)
        self.ipi(3)
        self.assertEqual(self.m.r32(word(3)), ACCEPT | BIT)
        self.m.qmp("quit")
        self.assertEqual(self.m.process.wait(TIMEOUT), 0)
        self.assertEqual(self.files(), [])

    def test_truncated_segment_that_the_main_thread_finds_first(self):
        """By a tick, or because of the monitor."""
        self.start()
        self.register(3)
        self.recorded()
        taken = self.m.taken(3, VECTOR)
        self.truncate()
        self.assertIs(self.m.qmp("query-ipi-defer")["enabled"], False)
        self.m.set("isolated-cpus", [2, 3])
        self.ipi(3)
        self.assertEqual(self.m.taken(3, VECTOR), taken + 1)

    def killed_by(self, use):
        """@return the signal that ends QEMU when somebody does this."""
        with preloaded(MUTANT, "block"):
            self.start()
        self.register(3)
        self.recorded()
        self.truncate()
        with self.assertRaises(Failed):
            use()
        return -self.m.process.wait(TIMEOUT)

    @unittest.skipUnless(MUTANT, "IPIDEFER_MUTANT_SEGMENT is not set")
    def test_truncated_segment_kills_a_main_thread_that_blocks_sigbus(self):
        """The control of the test above."""
        self.assertEqual(self.killed_by(lambda: self.m.qmp("query-ipi-defer")),
                         signal.SIGBUS)

    @unittest.skipUnless(MUTANT, "IPIDEFER_MUTANT_SEGMENT is not set")
    def test_truncated_segment_kills_a_vcpu_that_blocks_sigbus(self):
        """And of the one before it."""
        self.assertEqual(self.killed_by(lambda: self.ipi(3)), signal.SIGBUS)

    def test_truncated_segment_after_a_cpu_was_plugged_in(self):
        """Its thread is new."""
        self.start(cpus="3,maxcpus=4", machine="pc")
        slot = [c["props"] for c in self.m.qmp("query-hotpluggable-cpus")
                if "qom-path" not in c][0]
        self.m.qmp("device_add", driver="qemu64-x86_64-cpu", id="extra",
                   **{k.replace("-", "_"): v for k, v in slot.items()})
        self.m.tell(0, "start", 3)
        os.truncate(self.path(), 0)
        self.ipi(2, PLAIN, cpu=3)
        self.assertEqual(self.m.taken(2, PLAIN), 1)
        self.register(3)
        self.ipi(3, cpu=3)
        self.assertEqual(self.m.taken(3, VECTOR), 1)

    def test_reset_ends_registrations_and_keeps_counters(self):
        self.start()
        self.register(3)
        self.recorded()
        before = self.counts()
        self.m.qmp("system_reset")
        self.m.wait_ready()
        self.assertEqual(self.counts(), before)
        self.assertEqual([v["bound"] for v in
                          self.tool.stat("web1")["vcpus"]], [False] * 4)
        self.register(3)
        self.recorded()
        self.assertEqual(self.counts(), {(3, VECTOR, "deferred"): 2})

    # -- the clock ------------------------------------------------------------

    def header(self):
        """@return the TSC at a moment, that moment on CLOCK_MONOTONIC, the
        TSC's frequency, and the guest's TSC less the host's, or None."""
        with open(self.path(), "rb") as file:
            raw = file.read(384)
        _, known, tsc, monotonic, _, hz, offset = struct.unpack_from(
            "<IIQQQQq", raw, 336)
        return tsc, monotonic, hz, offset if known else None

    def host_tsc(self):
        tsc, monotonic, hz, _ = self.header()
        return tsc + (time.monotonic_ns() - monotonic) * hz // 10**9

    def guest_tsc(self):
        """The whole of it, on CPU 0."""
        # rdtsc; mov %eax, LOW; mov %edx, HIGH; ret
        low, high = CODE + 0x100, CODE + 0x104
        code = (b"\x0f\x31\x89\x04\x25" + struct.pack("<I", low)
                + b"\x89\x14\x25" + struct.pack("<I", high) + b"\xc3")
        self.m.write(CODE, code)
        self.m.tell(0, "call", CODE)
        return self.m.r32(high) << 32 | self.m.r32(low)

    def offset_is(self, offset):
        """Does it make a guest's TSC of the host's?"""
        second = self.header()[2]
        before = self.host_tsc()
        guest = self.guest_tsc()
        after = self.host_tsc()
        return before - second < guest - offset < after + second

    def test_guests_tsc_is_told_from_the_hosts(self):
        self.start()
        self.wait_until("told", lambda: self.header()[3] is not None)
        offset = self.header()[3]
        self.assertTrue(self.offset_is(offset))
        # The control: another one does not. Nor does none, unless this KVM
        # leaves the TSC as it is.
        second = self.header()[2]
        self.assertFalse(self.offset_is(offset + 3 * second))
        if abs(offset) > 3 * second:
            self.assertFalse(self.offset_is(0))
        else:
            self.assertEqual(self.accel, "kvm")

    def test_guests_tsc_stands_still_with_the_guest(self):
        self.start()
        self.wait_until("told", lambda: self.header()[3] is not None)
        before = self.header()[3]
        self.m.qmp("stop")
        self.m.qmp("cont")
        self.wait_until("told anew", lambda: self.header()[3] != before)
        self.assertLess(self.header()[3], before)
        self.assertTrue(self.offset_is(self.header()[3]))

    # -- options --------------------------------------------------------------

    def test_no_segment_unless_asked_for(self):
        self.start(options=("-name", "web1", "-object",
                            f"{OBJECT},segment-dir={self.folder}"))
        self.assertEqual(self.files(), [])
        self.assertIs(self.m.get("segment"), False)
        self.assertNotIn("segment", self.m.qmp("query-ipi-defer"))
        self.assertIn("max-age-ns needs segment=on", self.m.qmp_error(
            "qom-set", path="/objects/d0", property="max-age-ns", value=1))

    def test_bad_options_are_named(self):
        segment = f"{OBJECT},segment=on,segment-dir={self.folder}"
        for options, said in (
                (("-object", segment), "segment=on needs a name"),
                (self.named("x", ",segment-mode=0888"),
                 "segment-mode: '0888' is not an octal number from 1 to 777"),
                (self.named("x", ",segment-mode=1000"),
                 "segment-mode: '1000' is not an octal number from 1 to 777"),
                (self.named("x", ",segment-group=no.such.group"),
                 "segment-group: 'no.such.group' is neither a group nor"),
                (self.named("x", ",trace-entries=3"),
                 "0 or a power of two up to 1048576 trace entries, not 3"),
                (self.named("x" * 128), "127"),
                (self.named("x", ",segment-dir=/nonexistent"),
                 "/nonexistent"),
                (("-name", "x", "-object", OBJECT + ",max-age-ns=1"),
                 "max-age-ns needs segment=on")):
            with self.subTest(said):
                self.assertIn(said, self.refused(*options))
        self.assertEqual(self.files(), [])

    def test_record_and_replay_are_refused(self):
        self.accel = "tcg,thread=single"
        record = os.path.join(self.folder, "record")
        self.assertIn("segment=on is not possible with record/replay",
                      self.refused(*self.options, "-icount",
                                   f"shift=3,rr=record,rrfile={record}"))

    def test_all_options(self):
        self.start(options=self.named(
            "web1", ",segment-name=a b,segment-mode=640,segment-group="
            f"{os.getgid()},trace-entries=0,max-age-ns=9000000000"))
        self.assertEqual(self.files(), ["ipidefer.a%20b~"])
        status = os.stat(os.path.join(self.folder, os.listdir(self.folder)[0]))
        self.assertEqual((status.st_mode & 0o7777, status.st_gid),
                         (0o640, os.getgid()))
        self.assertEqual(self.tool.policy("a b")["max_age_ns"], 9 * 10**9)
        self.assertIn("no trace ring",
                      self.tool.run("trace", "a b", status=77))
        for name, value in (("segment", False), ("segment-name", "c"),
                            ("segment-dir", "/"), ("segment-mode", "0600"),
                            ("segment-group", "0"), ("trace-entries", 64)):
            self.assertIn("cannot be changed any more", self.m.qmp_error(
                "qom-set", path="/objects/d0", property=name, value=value))
        self.assertEqual(self.m.get("segment-name"), "a b")
        self.assertEqual(self.m.get("segment-mode"), "640")
        self.assertEqual(self.m.get("trace-entries"), 0)

    def test_icount(self):
        """Time is another there, and nobody says how it relates to ours."""
        self.accel = "tcg,thread=single"
        self.start("-icount", "shift=3")
        self.register(3)
        self.recorded()
        self.wait_until("a tick", lambda: self.tool.stat(
            "web1")["oldest_pending_ns"])
        self.assertIsNone(self.header()[3])

    # -- migration ------------------------------------------------------------

    def test_destination_has_a_segment_of_its_own(self):
        stream = os.path.join(self.folder, "stream")
        self.start()
        self.register(3)
        self.recorded()
        self.m.qmp("migrate", uri=f"file:{stream}")
        self.m.wait_migrated()
        incoming = ("-incoming", f"file:{stream}")
        # On one host, source and destination have one name.
        source, first = self.m, self.tool.stat("web1")["id"]
        self.m = self.boot(*incoming, options=self.options, boot=False)
        self.m.wait_migrated()
        (second,) = {vm["id"] for vm in self.tool.list().values()} - {first}
        self.assertEqual(self.tool.counts(second), {})
        self.assertEqual(self.tool.counts(first),
                         {(3, VECTOR, "deferred"): 1})
        # What came with it waits here.
        self.assertTrue(self.tool.stat(second)["vcpus"][3]["bound"])
        self.wait_until("seen", lambda: self.tool.stat(
            second)["vcpus"][3]["oldest_pending_ns"])
        source.qmp("quit")
        source.process.wait(TIMEOUT)
        self.ipi(3)
        # The name is its own now.
        self.assertEqual(self.tool.counts("web1"),
                         {(3, VECTOR, "coalesced"): 1})
        os.unlink(stream)


@unittest.skipIf(NO_KVM, NO_KVM)
class SegmentLifetimeKvm(SegmentLifetime):
    accel = "kvm"
    # As with TCG, or only there.
    test_all_options = None
    test_bad_options_are_named = None
    test_file_goes_when_qemu_fails_after_all = None
    test_file_that_does_not_go_is_seen = None
    test_icount = None
    test_no_segment_unless_asked_for = None
    test_record_and_replay_are_refused = None
    test_truncated_segment_after_a_cpu_was_plugged_in = None
    # Threads of KVM's vCPUs never block it.
    test_truncated_segment_kills_a_vcpu_that_blocks_sigbus = None
    test_guests_tsc_stands_still_with_the_guest = None

    send = Kvm.send


if __name__ == "__main__":
    if not IPIDEFER:
        print("skipped: IPIDEFER_CLI is not set")
        raise SystemExit(77)
    raise SystemExit(test_qemu.main())
