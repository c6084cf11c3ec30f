# SPDX-License-Identifier: GPL-2.0-or-later
"""ipidefer blame names planted causes of exits, each as often as it was planted."""
import contextlib
import ctypes
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import pytest

from tests.support import requirements
from tests.support.children import mortal
from tests.support.kvm_exits import TRACING, counted
from tests.support.linux_guest import ISOLATED
from tests.support.oracle import TEST

pytestmark = [pytest.mark.ctest(timeout=900, processors=2),
              pytest.mark.machines("kvm-x2apic", soak=["kvm-xapic", "kvm-split-x2apic"])]
REQUESTS, CALLS = 40, 30
VECTOR = 0xf5
SYNC_CORE = f"vector {VECTOR:#x} by vCPU 0"
# Where QEMU decides, it delivers in the thread of the vCPU that rang.
BY_QEMU = ("device", f"MSI, {SYNC_CORE}'s VMM")
# perf_event_open(2), and an event that counts nothing, of a CPU.
PERF_EVENT_OPEN, TYPE_SOFTWARE, DUMMY, DISABLED = 298, 1, 9, 1
ENABLE, DISABLE = 0x2400, 0x2401


@contextlib.contextmanager
def event_of(cpu):
    """An event of a CPU, of which each change has the host's kernel call a function there,
    by an IPI; so does its beginning and its end, sometimes."""
    attr = struct.pack("IIQQQQQ", TYPE_SOFTWARE, 112, DUMMY, 0, 0, 0, DISABLED).ljust(112, b"\0")
    event = ctypes.CDLL(None, use_errno=True).syscall(PERF_EVENT_OPEN, attr, -1, cpu, -1, 0)
    assert event >= 0, os.strerror(ctypes.get_errno())
    try:
        yield event
    finally:
        os.close(event)


def call(event):
    """Has the function called, each time when the vCPU is in its guest again: of two calls
    while it is out, one is blamed."""
    for n in range(CALLS):
        fcntl.ioctl(event, DISABLE if n % 2 else ENABLE, 0)
        time.sleep(0.05)


def start_blame(guest, *more, whom=None, **streams):
    """@param whom: what says which VM; default: QEMU's PID
    @return its process, once it traces, and the folder of its instance"""
    process = subprocess.Popen(
        mortal([requirements.path("IPIDEFER_CLI"),
                *(whom or ["blame", "--pid", str(guest.process.pid)]), "--duration", "600s",
                *more], "INT"),
        **(streams or {"stdout": subprocess.PIPE, "text": True}))
    instance = TRACING / "instances" / f"ipidefer-blame-{process.pid}"
    ready = instance / "tracing_on"
    deadline = time.monotonic() + 60
    # It is switched on last.
    while not ready.exists() or ready.read_text() != "1\n":
        assert process.poll() is None and time.monotonic() < deadline, "it does not trace"
        time.sleep(0.1)
    return process, instance


def end_blame(process):
    """@return what it printed"""
    process.send_signal(signal.SIGINT)
    text, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert not [name for name in os.listdir(TRACING / "instances") if "blame" in name]
    return text


class Blamed:
    """What is blamed for exits, by vCPU and then by (kind, detail)."""

    def __init__(self):
        self.counts = {}  # (exits, also)
        self.stacks = {}  # [(count, [function, ...])]
        self.by_kvm = {}  # KVM's own count of exits that have an entry, of each vCPU
        self.injected = {}  # and of the planted IPIs: those that wait at a time are one

    def read(self, report):
        assert report["lost"] == 0
        for vcpu in report["vcpus"]:
            # The last one, when the guest was stopped, has none.
            self.by_kvm[vcpu["vcpu"]] -= vcpu["away_at_end"]
            causes = {(cause["kind"], cause["detail"]): cause for cause in vcpu["causes"]}
            self.counts[vcpu["vcpu"]] = {of: (cause["exits"], cause["also"])
                                         for of, cause in causes.items()}
            self.stacks[vcpu["vcpu"]] = {
                of: [(stack["count"], stack["functions"]) for stack in cause["stacks"]]
                for of, cause in causes.items() if "stacks" in cause}
            for kind, _ in causes:
                assert any(cause["remedy"] or cause["why_none"] for cause in vcpu["causes"]
                           if cause["kind"] == kind)


@contextlib.contextmanager
def blamed(guest, *more):
    """What is blamed for exits while the guest runs in here; it stands before and after,
    so that none is missed. Read at the end."""
    found = Blamed()
    guest.qmp("stop")
    with counted() as exits:
        process, _ = start_blame(guest, "--json", *more)
        guest.qmp("cont")
        yield found
        guest.qmp("stop")
        report = json.loads(end_blame(process))
        for cpu, thread in guest.threads().items():
            found.by_kvm[cpu] = sum(exits.of("kvm_exit", thread).values())
            found.injected[cpu] = exits.of("kvm_inj_virq", thread).get(VECTOR, 0)
    guest.qmp("cont")
    found.read(report)


@contextlib.contextmanager
def rival(cpu, folder):
    """A thread that wants a host CPU for itself. @return its name"""
    name = "blame-rival"
    script = folder / name
    script.write_text("#!/bin/sh\nwhile :; do :; done\n")
    script.chmod(0o755)
    process = subprocess.Popen(mortal(["taskset", "-c", str(cpu), str(script)]))
    try:
        yield name
    finally:
        process.kill()
        process.wait()


def read_until(terminal, text, seconds=60):
    """@return what came, which ends with a piece that has the text"""
    got, deadline = b"", time.monotonic() + seconds
    while text not in got:
        left = deadline - time.monotonic()
        assert left > 0 and select.select([terminal], [], [], left)[0], got
        got += terminal.read(4096)
    return got


def times(causes, kind, detail):
    """As the first cause of an exit, or as another one."""
    return sum(sum(counts) for (k, d), counts in causes.items() if k == kind and detail in d)


class TestBlame:
    def test_planted_causes_are_named(self, guest_alone, configuration):
        """IPIs of the guest, and of the host with function and sender; and the sum of
        all causes is KVM's own count of exits."""
        guest_alone.set("enabled", False)
        target = min(ISOLATED)
        with event_of(target) as event, blamed(guest_alone) as found:
            guest_alone.run(f"taskset -c 0 sh -c 'echo request sync_core {REQUESTS} >{TEST}'")
            call(event)
        for cpu, causes in found.counts.items():
            assert sum(exits for exits, _ in causes.values()) == found.by_kvm[cpu], cpu
        for cpu in ISOLATED:
            cause = ("guest-ipi", SYNC_CORE) if configuration.decided else BY_QEMU
            assert times(found.counts[cpu], *cause) == found.injected[cpu], found.counts[cpu]
            assert REQUESTS / 2 < found.injected[cpu] <= REQUESTS
        calls = {cpu: times(found.counts[cpu], "host-call", "remote_function")
                 for cpu in ISOLATED}
        assert calls == {cpu: CALLS if cpu == target else 0 for cpu in ISOLATED}, found.counts
        # Nobody asked for them.
        assert not any(found.stacks.values())

    def test_stacks_say_where_the_host_sent(self, guest_alone):
        """Each of the planted calls has a stack, with the system call that had it made."""
        target = min(ISOLATED)
        with event_of(target) as event, blamed(guest_alone, "--stacks") as found:
            # All vCPUs have been in the guest then.
            guest_alone.run("sleep 1")
            call(event)
        calls = times(found.counts[target], "host-call", "remote_function")
        # Another thread may have run there meanwhile.
        assert CALLS / 2 < calls <= CALLS, found.counts[target]
        stacks = [stack for (kind, detail), some in found.stacks[target].items()
                  for stack in some if kind == "host-call" and "remote_function" in detail]
        by_ioctl = [(count, functions) for count, functions in stacks
                    if "perf_ioctl" in functions]
        assert sum(count for count, _ in by_ioctl) == calls, stacks
        # The innermost is first, and none of the tracing's own.
        for _, functions in by_ioctl:
            assert not functions[0].startswith("trace_"), functions
            assert functions.index("event_function_call") < functions.index("perf_ioctl")
            assert not [name for name in functions if name.startswith("0x")], functions
        counts = [count for count, _ in stacks]
        assert counts == sorted(counts, reverse=True)

    def test_who_ran_instead_is_named(self, guest_alone, tmp_path):
        """A thread of the host that wants an isolated vCPU's CPU takes it from time to
        time; the other one's stays its own."""
        target, other = ISOLATED
        with blamed(guest_alone) as found, rival(target, tmp_path) as name:
            # The guest's other vCPUs have CPUs for themselves, and answer.
            guest_alone.run("sleep 2")
        assert times(found.counts[target], "scheduler", name) > 0, found.counts[target]
        assert times(found.counts.get(other, {}), "scheduler", name) == 0, found.counts

    def test_deferred_ipis_are_nobodys(self, guest_alone):
        """The control: what is recorded does not interrupt."""
        with blamed(guest_alone) as found:
            guest_alone.run(f"taskset -c 0 sh -c 'echo request sync_core {REQUESTS} >{TEST}'")
        for cpu in ISOLATED:
            for kind in "guest-ipi", "device":
                assert times(found.counts.get(cpu, {}), kind, "vector 0xf5") == 0, found.counts

    def test_nothing_is_left_when_it_is_killed(self, guest_alone):
        process, instance = start_blame(guest_alone, "--stacks")
        process.kill()
        process.communicate()
        deadline = time.monotonic() + 60
        while instance.exists():
            assert time.monotonic() < deadline, "the instance is still there"
            time.sleep(0.1)

    def test_vm_is_known_by_its_name(self, boot, configuration, tmp_path):
        """By its segment, and each interval has a table of its own where no terminal is."""
        folder = tmp_path / "shm"
        folder.mkdir(0o700)
        guest = boot("ipi_defer=hv loops=", defer=f"{configuration.properties},segment=on,"
                     f"segment-name=web1,segment-dir={folder}")
        process, _ = start_blame(
            guest, "--live", "--interval", "500ms", bufsize=0, stdout=subprocess.PIPE,
            whom=["--shm-dir", str(folder), "blame", "web1"])
        text = read_until(process.stdout, b"\n\ncause ")
        text += end_blame(process)
        *parts, summary = text.decode().split("\n\n")
        assert len(parts) >= 2
        for part in parts:
            assert part.startswith("cause ")
            assert "What to do" not in part
        assert re.search("^vCPU 0 +[1-9]", summary, re.MULTILINE), summary
        assert "\nWhat to do:\n" in summary

    def test_on_a_terminal_it_is_a_page_until_a_key_ends_it(self, guest_alone):
        ours, its = pty.openpty()
        try:
            # A page has room for all.
            fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 60, 200, 0, 0))
            process, _ = start_blame(guest_alone, "--live", "--interval", "500ms", stdin=its,
                                     stdout=its, env=os.environ | {"TERM": "xterm"})
        finally:
            os.close(its)
        with open(ours, "r+b", buffering=0) as terminal:
            guest_alone.run("sleep 1")
            page = read_until(terminal, b"vCPU 0")
            assert b"s: vCPUs as one" in page
            assert b"What to do" not in page
            terminal.write(b"s")
            read_until(terminal, b"all vCPUs")
            terminal.write(b"q")
            summary = read_until(terminal, b"What to do:")
            # The page is gone, the summary is of all, as --sum was not said.
            assert b"vCPU 0" in summary
            process.wait(60)
        assert process.returncode == 0
