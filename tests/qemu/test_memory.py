# SPDX-License-Identifier: GPL-2.0-or-later
"""Recording in a word of guest memory, beside the guest that uses it."""
import pytest

from tests.support.contract import (ACCEPT, ASSERT, BIT, CODE, MSR_ICR, VECTOR, WORDS,
                                    binding, word)

pytestmark = [pytest.mark.qemu, pytest.mark.ctest(timeout=900, processors=2)]


def assert_each_bit_was_found(vm, rounds, turns, found, bits):
    """Each IPI of so many has its verdict, and each bit that was newly set has been
    found, once. @return verdicts by name"""
    verdicts = vm.counters(3, VECTOR)
    assert sum(verdicts.values()) == rounds
    assert vm.r32(word(3)) == 0
    assert verdicts.get("deferred", 0) == found
    assert bits == (BIT if found else 0)
    assert found <= turns
    return verdicts


def delivered(verdicts):
    return sum(n for name, n in verdicts.items() if name.startswith("delivered"))


@pytest.mark.machines("tcg-xapic", long=["tcg-x2apic", "tcg-single", "tcg-icount",
                                         "kvm-xapic", "kvm-split-xapic", "kvm-off"])
class TestMemory:
    # Under KVM there is no translated code.
    @pytest.mark.only("tcg-*")
    def test_recording_invalidates_translated_code(self, vm):
        """The word is the operand of an instruction that has run."""
        # mov $imm32, %eax; ret, with the operand aligned.
        vm.w32(CODE, 0xb8909090)
        vm.w32(CODE + 4, ACCEPT)
        vm.w32(CODE + 8, 0x000000c3)
        vm.register(3, binding(CODE + 4))
        for _ in range(3):
            assert vm.tell(0, "call", CODE) == [ACCEPT]
        vm.ipi(3)
        assert vm.tell(0, "call", CODE) == [ACCEPT | BIT]

    @pytest.mark.only("tcg-*")
    def test_race(self, vm):
        """I1, I2 while the target goes in and out as fast as it can."""
        rounds = 50000
        stop = WORDS
        vm.register(3)
        vm.spread(1, 3)
        vm.tell(3, "!toggle", word(3), ACCEPT, stop)
        mode, high = (1, 3) if vm.configuration.x2apic else (0, 3 << 24)
        vm.tell(1, "!spam", mode, high, ASSERT | VECTOR, rounds, 1023)
        vm.tell(1, "wait")
        vm.w32(stop, 1)
        verdicts = assert_each_bit_was_found(vm, rounds, *vm.tell(3, "wait"))
        # Those that found the vector pending are no interrupts of their own.
        assert vm.taken(3, VECTOR) == delivered(verdicts) - vm.merged(3, VECTOR)

    @pytest.mark.only("kvm-*")
    def test_race_in_ring_3(self, vm):
        """The same with a target that runs natively also where ring 0 does not."""
        by_icr = vm.configuration.way == "icr"
        rounds = 5000 if by_icr else 20000
        stop = WORDS + 0x800
        vm.w32(stop, 0)
        vm.register(3)
        vm.spread(1, 3)
        vm.tell(3, "!toggle3", word(3), ACCEPT, stop)
        if by_icr:
            vm.tell(1, "!spam", 0, 3 << 24, ASSERT | VECTOR, rounds, 0)
        else:
            vm.tell(1, "!ring", MSR_ICR, 3, VECTOR, rounds, 0)
        vm.tell(1, "wait")
        vm.w32(stop, 1)
        sent = delivered(assert_each_bit_was_found(vm, rounds, *vm.tell(3, "wait")))
        taken = vm.taken(3, VECTOR)
        if by_icr:
            assert taken == sent - vm.merged(3, VECTOR)
        else:
            # The kernel's local APIC does not tell what finds the vector pending.
            assert vm.merged(3, VECTOR) is None
        assert taken <= sent
        assert (taken > 0) == (sent > 0)
