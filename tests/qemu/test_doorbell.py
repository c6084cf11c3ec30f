# SPDX-License-Identifier: GPL-2.0-or-later
"""The doorbell beside whatever else QEMU does."""
import os
import struct

import pytest

from tests.support import requirements
from tests.support.contract import ACCEPT, MSR_APIC_BASE, MSR_ICR, VECTOR, word
from tests.support.machine import wait_until

pytestmark = [pytest.mark.qemu, pytest.mark.ctest(timeout=900, processors=2)]
FOREVER = 0x7fffffff
OPENAT = "257"          # as a system call


def total(tool):
    return sum(tool.counts("web1").values())


def keep_busy(vm, fifo):
    """Have the main loop open a FIFO, and wait until it does."""
    vm.qmp_stream.send(
        '{"execute": "chardev-add", "arguments": {"id": "c0", "backend": '
        '{"type": "file", "data": {"out": "%s"}}}}' % fifo)

    def opens():
        with open(f"/proc/{vm.process.pid}/syscall") as syscall:
            return syscall.read().split()[0] == OPENAT
    wait_until("the main loop is idle", opens)


@pytest.mark.machines("doorbell", "kvm-xapic", "kvm-split-xapic")
class TestBusyMainLoop:
    """Rings go on while the main loop holds QEMU's big lock for as long as the test
    likes: it opens a FIFO that nobody reads.

    With a PIC in userspace, too, a vCPU enters the guest without the lock.
    """

    @pytest.fixture(scope="class")
    def options(self, configuration, tool):
        return configuration.named("web1", tool.folder)

    @pytest.fixture
    def fifo(self, tmp_path):
        path = tmp_path / "fifo"
        os.mkfifo(path)
        return path

    def test_doorbell_does_not_wait_for_it(self, vm, tool, fifo):
        vm.register(2)
        vm.w32(word(2), ACCEPT)
        vm.tell(1, "!ring", MSR_ICR, 2, VECTOR, FOREVER, 0)
        keep_busy(vm, fifo)
        before = total(tool)
        for step in range(1, 6):
            # Each of them has waited for the monitor to answer, in vain.
            wait_until(f"{total(tool) - before} rings while the main "
                       "loop is busy",
                       lambda step=step: total(tool) > before + 20 * step,
                       timeout=20)
        with open(fifo, "rb"):
            assert vm.qmp_stream.receive().find('"error"') == -1
        vm.qmp("query-status")


@pytest.mark.machines("kvm-xapic")
@pytest.mark.without("*-decided")       # then QEMU injects nothing
class TestTwoAtOnce:
    """Two vCPUs that ring are both in QEMU at a time."""

    def test_both_are_seen_injecting(self, boot, tmp_path):
        meet = requirements.path("IPIDEFER_MEET_IN_MSI")
        counts = tmp_path / "counts"
        counts.write_bytes(bytes(16))
        vm = boot(environment={"LD_PRELOAD": meet, "IPIDEFER_MEET": str(counts)})
        rounds = 20
        for cpu in 0, 1:
            vm.tell(cpu, "!ring", MSR_ICR, 2 + cpu, VECTOR, rounds, 0)
        for cpu in 0, 1:
            vm.tell(cpu, "wait")
        met, alone = struct.unpack("<QQ", counts.read_bytes())
        assert met > 0, f"{alone} waited for another in vain"
        for cpu in 2, 3:
            assert vm.taken(cpu, VECTOR) > 0


@pytest.mark.machines("kvm-xapic")
class TestUndelivered:
    """An interrupt that the guest's own doing keeps from its local APIC is counted."""

    def test_local_apic_that_is_switched_off(self, boot):
        vm = boot()
        assert vm.qmp("query-ipi-defer")["undelivered"] == 0
        base = vm.rdmsr(3, MSR_APIC_BASE)
        vm.tell(3, "wrmsr", MSR_APIC_BASE, base >> 32,
                base & 0xffffffff & ~(1 << 11))
        for _ in range(3):
            vm.ring(0, 3 << 32 | VECTOR)
        assert vm.qmp("query-ipi-defer")["undelivered"] == 3
