# SPDX-License-Identifier: GPL-2.0-or-later
"""Snapshots that are loaded into a machine whose guest has gone on since."""
import pytest

from tests.support import configurations
from tests.support.contract import ACCEPT, BIT, MSR_REGISTER, VECTOR, word
from tests.support.migration import (MOST_BINDINGS, MOST_VECTORS, assert_alive, bind,
                                     make_disk, snapshot)

pytestmark = [pytest.mark.qemu, pytest.mark.ctest(timeout=900, processors=2)]


class TestSnapshot:
    def test_load_that_is_refused_leaves_nothing_registered(self, boot, tmp_path):
        """The guest of the snapshot had a doorbell, this one has none."""
        disk = make_disk(boot, tmp_path / "disk.qcow2")
        doorbell = configurations.BY_NAME["doorbell"].options()
        vm = boot(*disk, options=doorbell)
        vm.register(3)
        assert snapshot(vm, "save") == ""
        vm.close()
        vm = boot(*disk)
        vm.register(2)
        assert snapshot(vm, "load") != ""
        assert ("the guest was offered doorbell, doorbell-multi, and here it would find icr "
                "in CPUID") in vm.output()
        for cpu in vm.qmp("query-ipi-defer")["cpus"]:
            assert not cpu["registered"]
        assert_alive(vm)

    def test_loads_after_a_guest_that_bound_whatever_it_could(self, boot, tmp_path):
        disk = make_disk(boot, tmp_path / "disk.qcow2")
        vm = boot(*disk)
        bind(vm, 3, [VECTOR])
        assert snapshot(vm, "save") == ""
        for first in range(0x30, 0x30 + 2 * MOST_VECTORS, MOST_BINDINGS):
            bind(vm, 3, range(first, first + MOST_BINDINGS))
        assert snapshot(vm, "load") == ""
        assert vm.defer(3)["bindings"][0]["vector"] == VECTOR
        vm.w32(word(3), ACCEPT)
        vm.ipi(3)
        assert vm.r32(word(3)) == ACCEPT | BIT
        assert_alive(vm)

    def test_work_that_was_recorded_is_there_again(self, boot, tmp_path):
        disk = make_disk(boot, tmp_path / "disk.qcow2")
        vm = boot(*disk)
        vm.register(3)
        vm.w32(word(3), ACCEPT)
        vm.ipi(3)
        assert snapshot(vm, "save") == ""
        vm.w32(word(3), 0)
        vm.wrmsr(3, MSR_REGISTER, 0)
        assert snapshot(vm, "load") == ""
        assert vm.r32(word(3)) == ACCEPT | BIT
        vm.ipi(3)
        assert vm.taken(3, VECTOR) == 0
