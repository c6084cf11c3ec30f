# SPDX-License-Identifier: GPL-2.0-or-later
"""How many vectors guests may bind, at a time and one after another."""
import pytest

from tests.support.contract import ACCEPT, BIT, MSR_REGISTER, VECTOR, word
from tests.support.migration import MOST_BINDINGS, MOST_VECTORS, bind
from tests.support.puppet import Refused

pytestmark = [pytest.mark.qemu, pytest.mark.ctest(timeout=900, processors=2)]


def bind_all(vm, cpu=3, count=4 * MOST_VECTORS):
    for first in range(0x30, 0x30 + count, MOST_BINDINGS):
        bind(vm, cpu, range(first, first + MOST_BINDINGS))


class TestVectors:
    """There are 32 at a time in a VM; to have bound one uses up nothing."""

    def test_more_than_32_one_after_another(self, boot):
        vm = boot()
        bind_all(vm)
        vm.wrmsr(3, MSR_REGISTER, 0)
        bind(vm, 3, [VECTOR])
        vm.w32(word(3), ACCEPT)
        vm.ipi(3)
        assert vm.r32(word(3)) == ACCEPT | BIT

    def test_after_a_reset(self, boot):
        vm = boot()
        bind_all(vm)
        vm.qmp("system_reset")
        vm.wait_ready()
        bind(vm, 3, [VECTOR])

    def test_33_at_a_time_are_refused(self, boot):
        vm = boot(cpus="6")
        for cpu in range(4):
            first = 0x30 + MOST_BINDINGS * cpu
            bind(vm, cpu, range(first, first + MOST_BINDINGS))
        with pytest.raises(Refused):
            bind(vm, 4, [VECTOR])
        vm.wrmsr(0, MSR_REGISTER, 0)
        bind(vm, 4, [VECTOR])
