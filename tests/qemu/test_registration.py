# SPDX-License-Identifier: GPL-2.0-or-later
"""Which tables a guest may register, and what a refused one changes: nothing."""
import pytest

from tests.support.contract import (ACCEPT, BIT, BIT2, MIB, MSR_REGISTER, OTHER,
                                    VECTOR, binding, msr, table, word)

pytestmark = [pytest.mark.qemu, pytest.mark.ctest(timeout=900, processors=2)]


def check_still_recording(vm):
    vm.w32(word(3), ACCEPT)
    vm.ipi(3)
    assert vm.r32(word(3)) == ACCEPT | BIT
    assert vm.taken(3, VECTOR) == 0


@pytest.mark.machines("tcg-xapic", long=["kvm-xapic"])
class TestRegistration:
    def test_reads_back_what_was_accepted(self, vm):
        assert vm.rdmsr(3, MSR_REGISTER) == 0
        vm.register(3)
        assert vm.rdmsr(3, MSR_REGISTER) == msr(table(3), 1)
        assert vm.rdmsr(2, MSR_REGISTER) == 0
        vm.wrmsr(3, MSR_REGISTER, 0)
        assert vm.rdmsr(3, MSR_REGISTER) == 0
        assert not vm.defer(3)["registered"]

    def test_zero_without_registration_is_accepted(self, vm):
        vm.wrmsr(3, MSR_REGISTER, 0)

    def test_eight_bindings_on_the_last_page_of_memory(self, vm):
        top = 32 * MIB - 0x1000
        rows = [binding(top + 0xffc - 4 * i, vector=VECTOR + i)
                for i in range(8)]
        vm.write(top, b"".join(rows))
        vm.wrmsr(3, MSR_REGISTER, msr(top, 8))
        got = vm.defer(3)["bindings"]
        assert [b["vector"] for b in got] == [VECTOR + i for i in range(8)]

    def test_bad_msr_value_is_refused_and_changes_nothing(self, vm):
        vm.register(3)
        good = msr(table(3), 1)
        for value in (good & ~1,                    # not enabled
                      good | 2, good | 4, good | 8,     # reserved
                      msr(table(3), 0), msr(table(3), 9), msr(table(3), 15),
                      msr(32 * MIB, 1),             # behind memory
                      msr(0xfee00000, 1),           # the local APIC
                      msr(0xa0000, 1),              # no VGA here
                      msr(1 << 40, 1), msr(0xffffffffffffff00, 1),
                      0xffffffffffffffff):
            vm.assert_gp(3, MSR_REGISTER, value)
            assert vm.rdmsr(3, MSR_REGISTER) == good
        check_still_recording(vm)

    def test_bad_table_is_refused_and_changes_nothing(self, vm):
        vm.register(3)
        w = word(3) + 8
        bad = {
            "unaligned word": [binding(w + 1)],
            "word in the local APIC": [binding(0xfee00300)],
            "word behind memory": [binding(32 * MIB)],
            "word far away": [binding(0xfffffffffffffffc)],
            "word in ROM": [binding(0xfffffff0)],
            "vector 31": [binding(w, vector=31)],
            "vector 255": [binding(w, vector=255)],
            "vector twice": [binding(w), binding(w + 4)],
            "accept_mask 0": [binding(w, mask=0, value=0)],
            "accept_value outside the mask": [binding(w, mask=1, value=3)],
            "no work bit": [binding(w, bit=0)],
            "two work bits": [binding(w, bit=0x300)],
            "mask over its work bit": [binding(w, mask=0x101)],
            "mask over another's work bit": [
                binding(w), binding(w, vector=OTHER, mask=0x101, bit=BIT2)],
            "same work bit": [binding(w), binding(w, vector=OTHER)],
            "state over the work bit": [
                binding(w, state_mask=0x300, shift=8, user=1, guest=2, idle=3)],
            "state with a gap": [
                binding(w, state_mask=5, user=1, guest=4, idle=5)],
            "shift without state": [binding(w, shift=1)],
            "reserved byte": [binding(w, reserved=b"\0\0\1")],
            "zeroes": [bytes(32)],
            "ones": [b"\xff" * 32],
            "second of two bad": [binding(w), bytes(32)],
        }
        for what, rows in bad.items():
            vm.write(table(7), b"".join(rows))
            vm.assert_gp(3, MSR_REGISTER, msr(table(7), len(rows)))
            assert vm.rdmsr(3, MSR_REGISTER) == msr(table(3), 1)
        check_still_recording(vm)

    def test_new_registration_replaces_the_old_one(self, vm):
        vm.register(3)
        vm.register(3, binding(word(3) + 64, vector=OTHER))
        vm.w32(word(3), ACCEPT)
        vm.w32(word(3) + 64, ACCEPT)
        vm.ipi(3)
        vm.ipi(3, OTHER)
        assert vm.taken(3, VECTOR) == 1
        assert vm.taken(3, OTHER) == 0
        assert vm.r32(word(3)) == ACCEPT
        assert vm.r32(word(3) + 64) == ACCEPT | BIT

    def test_table_is_read_once(self, vm):
        """I7: what the guest does to the table later has no effect."""
        vm.register(3)
        vm.write(table(3), b"\xff" * 32)
        check_still_recording(vm)

    def test_many_refused_and_accepted_registrations_leak_nothing(self, vm):
        for i in range(50):
            vm.register(3, binding(word(3)), binding(word(3), OTHER, bit=BIT2))
            vm.assert_gp(3, MSR_REGISTER, msr(table(3), 9))
        vm.wrmsr(3, MSR_REGISTER, 0)
        assert not vm.defer(3)["registered"]
