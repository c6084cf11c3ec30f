# SPDX-License-Identifier: GPL-2.0-or-later
"""ipidefer blame names planted causes of exits, each as often as it was planted."""
import contextlib
import ctypes
import fcntl
import json
import os
import signal
import struct
import subprocess
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
SYNC_CORE = "vector 0xf5 by vCPU 0"
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


@contextlib.contextmanager
def blamed(guest):
    """What is blamed for exits while the guest runs in here; it stands before and after,
    so that none is missed. @return {vCPU: {(kind, detail): (exits, also)}}, filled at the
    end, and {vCPU: KVM's own count of exits that have an entry}"""
    found, by_kvm = {}, {}
    guest.qmp("stop")
    with counted() as exits:
        process = subprocess.Popen(
            mortal([requirements.path("IPIDEFER_CLI"), "blame", "--pid",
                    str(guest.process.pid), "--duration", "600s", "--json"], "INT"),
            stdout=subprocess.PIPE, text=True)
        ready = TRACING / "instances" / f"ipidefer-blame-{process.pid}" / "tracing_on"
        deadline = time.monotonic() + 60
        # It is switched on last.
        while not ready.exists() or ready.read_text() != "1\n":
            assert process.poll() is None and time.monotonic() < deadline, "it does not trace"
            time.sleep(0.1)
        guest.qmp("cont")
        yield found, by_kvm
        guest.qmp("stop")
        process.send_signal(signal.SIGINT)
        text, _ = process.communicate(timeout=60)
        by_kvm.update({cpu: sum(exits.of("kvm_exit", thread).values())
                       for cpu, thread in guest.threads().items()})
    guest.qmp("cont")
    assert process.returncode == 0
    report = json.loads(text)
    assert report["lost"] == 0
    for vcpu in report["vcpus"]:
        # The last one, when the guest was stopped, has none.
        by_kvm[vcpu["vcpu"]] -= vcpu["away_at_end"]
        found[vcpu["vcpu"]] = {(cause["kind"], cause["detail"]): (cause["exits"], cause["also"])
                               for cause in vcpu["causes"]}
    assert not [name for name in os.listdir(TRACING / "instances") if "blame" in name]


def times(causes, kind, detail):
    """As the first cause of an exit, or as another one."""
    return sum(sum(counts) for (k, d), counts in causes.items() if k == kind and detail in d)


class TestBlame:
    def test_planted_causes_are_named(self, guest_alone, configuration):
        """IPIs of the guest, and of the host with function and sender; and the sum of
        all causes is KVM's own count of exits."""
        guest_alone.set("enabled", False)
        target = min(ISOLATED)
        with event_of(target) as event, blamed(guest_alone) as (found, by_kvm):
            guest_alone.run(f"taskset -c 0 sh -c 'echo request sync_core {REQUESTS} >{TEST}'")
            for n in range(CALLS):
                fcntl.ioctl(event, DISABLE if n % 2 else ENABLE, 0)
        for cpu, causes in found.items():
            assert sum(exits for exits, _ in causes.values()) == by_kvm[cpu], cpu
        for cpu in ISOLATED:
            cause = ("guest-ipi", SYNC_CORE) if configuration.decided else BY_QEMU
            assert times(found[cpu], *cause) == REQUESTS, found[cpu]
        assert times(found[target], "host-call", "remote_function") == CALLS, found[target]
        for cpu in set(ISOLATED) - {target}:
            assert times(found[cpu], "host-call", "remote_function") == 0, found[cpu]

    def test_deferred_ipis_are_nobodys(self, guest_alone):
        """The control: what is recorded does not interrupt."""
        with blamed(guest_alone) as (found, _):
            guest_alone.run(f"taskset -c 0 sh -c 'echo request sync_core {REQUESTS} >{TEST}'")
        for cpu in ISOLATED:
            for kind in "guest-ipi", "device":
                assert times(found.get(cpu, {}), kind, "vector 0xf5") == 0, found[cpu]

    def test_nothing_is_left_when_it_is_killed(self, guest_alone):
        process = subprocess.Popen([requirements.path("IPIDEFER_CLI"), "blame", "--pid",
                                    str(guest_alone.process.pid), "--duration", "600s"],
                                   stdout=subprocess.DEVNULL)
        instance = TRACING / "instances" / f"ipidefer-blame-{process.pid}"
        deadline = time.monotonic() + 60
        while not (instance / "tracing_on").exists():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
        process.kill()
        process.wait()
        while instance.exists():
            assert time.monotonic() < deadline, "the instance is still there"
            time.sleep(0.1)
