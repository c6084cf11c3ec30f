# SPDX-License-Identifier: GPL-2.0-or-later
"""Words whose memory turns out to be inaccessible, as a page does that is poisoned: an
access is a SIGBUS. QEMU must not die of a look at a word that the guest itself has no
use for just now.

The page is one of a file that becomes shorter, which needs no hardware that fails, and
no privilege.
"""
import os

import pytest

from tests.support.contract import (ACCEPT, BIT, MSR_ICR_MULTI, MSR_REGISTER, OTHER,
                                    VECTOR, binding, msr, word)
from tests.support.machine import wait_until

pytestmark = [pytest.mark.qemu, pytest.mark.ctest(timeout=900, processors=2)]
BAR = 0xe0000000 - 0x200000


def backed_by(path):
    """@return options for a machine with a device whose memory is a file"""
    return ("-object", f"memory-backend-file,id=r0,size=1M,share=on,mem-path={path}",
            "-device", "ivshmem-plain,memdev=r0,addr=2")


def bind(vm):
    vm.map_bar(2, BAR)
    vm.w32(BAR, ACCEPT)
    vm.w32(word(3), ACCEPT)
    vm.register(3, binding(BAR), binding(word(3), OTHER, bit=1 << 9))


def verify(vm):
    """That word is lost, and nothing else."""
    vm.ipi(3)
    vm.ipi(3, OTHER)
    assert vm.taken(3, VECTOR) == 1
    assert vm.taken(3, OTHER) == 0
    assert vm.r32(word(3)) == ACCEPT | 1 << 9
    first, second = vm.defer(3)["bindings"]
    assert "word" not in first
    assert second["word"] == ACCEPT | 1 << 9
    vm.ipi(3)
    assert vm.taken(3, VECTOR) == 2


@pytest.fixture
def page(tmp_path):
    """The file that has a word. That it becomes shorter poisons the word."""
    path = tmp_path / "ram"
    path.touch()
    return path


@pytest.mark.machines("tcg-xapic", "doorbell", "kvm-xapic")
class TestInaccessible:
    @pytest.fixture
    def vm(self, boot, page):
        vm = boot(*backed_by(page))
        bind(vm)
        vm.ipi(3)
        assert vm.r32(BAR) == ACCEPT | BIT
        return vm

    def test_sender_finds_it(self, vm, page):
        os.truncate(page, 0)
        verify(vm)
        assert vm.counters(3, VECTOR) == {"deferred": 1, "delivered-bad-word": 2}

    def test_monitor_finds_it(self, vm, page):
        os.truncate(page, 0)
        assert "word" not in vm.defer(3)["bindings"][0]
        verify(vm)

    def test_table_is_refused(self, vm, page):
        """It is the VMM that reads it, and not the guest."""
        vm.w32(word(3), ACCEPT)
        os.truncate(page, 0)
        vm.assert_gp(3, MSR_REGISTER, msr(BAR, 1))
        # Nothing has changed.
        vm.ipi(3, OTHER)
        assert vm.r32(word(3)) == ACCEPT | 1 << 9

    @pytest.mark.only("doorbell", "kvm-xapic")
    def test_request_is_refused(self, vm, page):
        os.truncate(page, 0)
        vm.assert_gp(0, MSR_ICR_MULTI, BAR)
        verify(vm)


@pytest.mark.machines("tcg-xapic", "kvm-xapic")
class TestInaccessibleSegment:
    """The main thread looks at the words ten times a second."""

    @pytest.fixture(scope="class")
    def options(self, configuration, tool):
        return configuration.named("web1", tool.folder)

    def test_tick_finds_it(self, boot, page):
        vm = boot("-trace", "ipi_defer_lost", *backed_by(page))
        bind(vm)
        assert "ipi_defer_lost" not in vm.output()
        os.truncate(page, 0)
        wait_until("no tick has met the word",
                   lambda: "ipi_defer_lost" in vm.output())
        verify(vm)
