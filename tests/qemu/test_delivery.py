# SPDX-License-Identifier: GPL-2.0-or-later
"""What becomes of one IPI: recorded, or an interrupt, and one verdict for each target."""
import struct

import pytest

from tests.support.contract import (ACCEPT, ALL, ASSERT, BIT, BIT2, CPUID_BASE, INIT,
                                    LEVEL, LOGICAL, LOWEST, MIB, MSR_ICR,
                                    MSR_ICR_MULTI, MSR_REGISTER, MSR_X2APIC_SELF, NMI,
                                    OTHER, OTHERS, PLAIN, REQUEST, SELF, SIPI, SMI,
                                    VECTOR, binding, word)
from tests.support.machine import Failed
from tests.support.puppet import Refused

pytestmark = [pytest.mark.qemu, pytest.mark.ctest(timeout=900, processors=2)]
# Where a test's IPIs ring the doorbell, and where QEMU does not see what its target's
# local APIC does with them.
RINGING = ("doorbell", "multicast", "kvm-xapic", "kvm-x2apic", "kvm-split-*",
           "kvm-off-doorbell")
KERNEL_APIC = ("kvm-xapic", "kvm-x2apic", "kvm-split-*", "kvm-icr-*")


def register_all(vm):
    """Two vectors of one word, on each CPU."""
    for cpu in range(4):
        vm.register(cpu, binding(word(cpu)), binding(word(cpu), OTHER, bit=BIT2))


def accept(vm, *cpus):
    for cpu in cpus:
        vm.w32(word(cpu), ACCEPT)


def check(vm, cpu, taken, value, vector=VECTOR, **verdicts):
    verdicts = {k.replace("_", "-"): v for k, v in verdicts.items()}
    assert vm.taken(cpu, vector) == taken, "taken"
    assert vm.r32(word(cpu)) == value, "word"
    assert vm.counters(cpu, vector) == verdicts


def send_while_masked(vm):
    vm.tell(3, "cli")
    for _ in range(3):
        vm.ipi(3)
    vm.ipi(3, OTHER)
    vm.tell(3, "sti")
    check(vm, 3, 1, 0, delivered_in_kernel=3)
    check(vm, 3, 1, 0, vector=OTHER, delivered_in_kernel=1)


def logical_setup(vm):
    """@return logical destination of CPUs 1, 2 and 3."""
    if vm.configuration.x2apic:
        return 0xe      # cluster 0, by APIC ID
    for cpu in range(4):
        vm.tell(cpu, "w32", 0xfee000e0, 0xffffffff)
        vm.tell(cpu, "w32", 0xfee000d0, 1 << (24 + cpu))
    return 0xe


def rung(vm):
    info = vm.qmp("query-ipi-defer")
    return info["doorbell-writes"], info["doorbell-refused"]


@pytest.mark.machines("tcg-xapic", "tcg-x2apic", "tcg-single", "doorbell", "kvm-xapic",
                      long=["multicast", "kvm-x2apic", "kvm-split-xapic",
                            "kvm-split-x2apic", "kvm-off", "kvm-off-doorbell"],
                      soak=["kvm-icr-xapic", "kvm-icr-x2apic"])
class TestDelivery:
    """What becomes of one IPI, whichever way it is sent."""

    @pytest.fixture
    def vm(self, vm):
        register_all(vm)
        return vm

    def test_not_accepting_word_gets_the_interrupt(self, vm):
        vm.ipi(3)
        check(vm, 3, 1, 0, delivered_in_kernel=1)

    def test_accepting_word_gets_the_bit_and_no_interrupt(self, vm):
        accept(vm, 3)
        vm.ipi(3)
        check(vm, 3, 0, ACCEPT | BIT, deferred=1)

    def test_second_is_coalesced(self, vm):
        accept(vm, 3)
        for _ in range(3):
            vm.ipi(3)
        check(vm, 3, 0, ACCEPT | BIT, deferred=1, coalesced=2)

    @pytest.mark.without(*KERNEL_APIC)
    def test_delivered_while_pending_is_one_interrupt(self, vm):
        """Two that come before the first is taken; each has its verdict."""
        before = vm.merged(3, VECTOR), vm.merged(3, OTHER)
        send_while_masked(vm)
        assert vm.merged(3, VECTOR) == before[0] + 2
        assert vm.merged(3, OTHER) == before[1]
        # Taken is taken: the next one is an interrupt again.
        vm.ipi(3)
        check(vm, 3, 2, 0, delivered_in_kernel=4)
        assert vm.merged(3, VECTOR) == before[0] + 2
        assert f"merged {before[0] + 2}" in vm.hmp("info ipi-defer")

    @pytest.mark.only(*KERNEL_APIC)
    def test_delivered_while_pending_in_the_kernel(self, vm):
        """In the kernel's local APIC, where QEMU does not see it."""
        send_while_masked(vm)
        assert vm.merged(3, VECTOR) is None
        assert "merged" not in vm.hmp("info ipi-defer")

    def test_merges_go_with_the_counts(self, vm):
        """A vector that gave way to others begins anew, in all respects."""
        send_while_masked(vm)
        for cpu in range(3):
            vm.wrmsr(cpu, MSR_REGISTER, 0)
        for first in range(0x30, 0x58, 8):
            vm.register(3, *[binding(word(3), first + i, bit=1 << (8 + i))
                             for i in range(8)])
        vm.register(3)
        vm.w32(word(3), 0)
        before = vm.taken(3, VECTOR)
        vm.ipi(3)
        assert vm.taken(3, VECTOR) == before + 1
        row = vm.counted(3, VECTOR)
        assert row["delivered-in-kernel"] == 1
        assert not row.get("merged")

    def test_two_vectors_of_one_word(self, vm):
        accept(vm, 3)
        vm.ipi(3)
        vm.ipi(3, OTHER)
        check(vm, 3, 0, ACCEPT | BIT | BIT2, deferred=1)
        check(vm, 3, 0, ACCEPT | BIT | BIT2, vector=OTHER, deferred=1)

    def test_other_bits_of_the_word_are_kept(self, vm):
        """I2: one bit, nothing else."""
        vm.w32(word(3), 0xfffff8ff & ~BIT2)
        vm.ipi(3)
        check(vm, 3, 0, 0xfffff8ff & ~BIT2 | BIT, deferred=1)

    def test_untyped_vector_is_delivered_and_not_counted(self, vm):
        """I3"""
        accept(vm, 3)
        vm.ipi(3, PLAIN)
        assert vm.taken(3, PLAIN) == 1
        check(vm, 3, 0, ACCEPT)
        assert vm.counters(3, PLAIN) == {}

    def test_not_isolated_target_gets_the_interrupt(self, vm):
        accept(vm, 1)
        vm.ipi(1)
        check(vm, 1, 1, ACCEPT, delivered_not_isolated=1)

    def test_unregistered_target_gets_the_interrupt(self, vm):
        accept(vm, 3)
        vm.wrmsr(3, MSR_REGISTER, 0)
        vm.ipi(3)
        check(vm, 3, 1, ACCEPT, delivered_not_bound=1)

    @pytest.mark.without(*RINGING)      # refused, see below
    def test_nmi_is_delivered(self, vm):
        """I3, also with a typed vector in the vector field."""
        accept(vm, 3)
        vm.send(ASSERT | NMI | VECTOR, 3)
        assert vm.taken(3, 2) == 1
        check(vm, 3, 0, ACCEPT)

    @pytest.mark.without(*RINGING)      # refused, see below
    def test_lowest_priority_is_delivered(self, vm):
        accept(vm, 3)
        vm.send(ASSERT | LOWEST | VECTOR, 3)
        check(vm, 3, 1, ACCEPT)

    @pytest.mark.without(*RINGING)      # refused, see below
    def test_level_triggered_is_delivered(self, vm):
        accept(vm, 3)
        vm.send(ASSERT | LEVEL | VECTOR, 3)
        check(vm, 3, 1, ACCEPT)

    def test_msi_is_delivered(self, vm):
        """I3: what a device would write."""
        accept(vm, 3)
        vm.w32(0xfee00000 | 3 << 12, VECTOR)
        check(vm, 3, 1, ACCEPT)

    def test_self_shorthand(self, vm):
        vm.send(ASSERT | SELF | VECTOR, cpu=3)
        check(vm, 3, 1, 0, delivered_in_kernel=1)

    def test_self_shorthand_with_accepting_word(self, vm):
        """Silly, but the guest's to ask for."""
        accept(vm, 3)
        vm.send(ASSERT | SELF | VECTOR, cpu=3)
        check(vm, 3, 0, ACCEPT | BIT, deferred=1)

    def test_all_but_self_takes_each_target_once(self, vm):
        """I1, one target each way."""
        accept(vm, 1, 2)
        vm.send(ASSERT | OTHERS | VECTOR)
        check(vm, 0, 0, 0)
        check(vm, 1, 1, ACCEPT, delivered_not_isolated=1)
        check(vm, 2, 0, ACCEPT | BIT, deferred=1)
        check(vm, 3, 1, 0, delivered_in_kernel=1)

    def test_all_includes_self(self, vm):
        accept(vm, 0, 2, 3)
        vm.send(ASSERT | ALL | VECTOR)
        check(vm, 0, 1, ACCEPT, delivered_not_isolated=1)
        check(vm, 1, 1, 0, delivered_not_isolated=1)
        check(vm, 2, 0, ACCEPT | BIT, deferred=1)
        check(vm, 3, 0, ACCEPT | BIT, deferred=1)

    def test_broadcast_destination(self, vm):
        accept(vm, 2, 3)
        xapic = vm.configuration.way == "icr" and not vm.configuration.x2apic
        vm.send(ASSERT | VECTOR, 0xff if xapic else 0xffffffff)
        check(vm, 0, 1, 0, delivered_not_isolated=1)
        check(vm, 2, 0, ACCEPT | BIT, deferred=1)
        check(vm, 3, 0, ACCEPT | BIT, deferred=1)

    @pytest.mark.without(*RINGING)      # refused, see below
    def test_logical_destination(self, vm):
        dest = logical_setup(vm)
        accept(vm, 1, 2)
        vm.send(ASSERT | LOGICAL | VECTOR, dest)
        check(vm, 0, 0, 0)
        check(vm, 1, 1, ACCEPT, delivered_not_isolated=1)
        check(vm, 2, 0, ACCEPT | BIT, deferred=1)
        check(vm, 3, 1, 0, delivered_in_kernel=1)

    def test_destination_that_names_nobody(self, vm):
        accept(vm, 3)
        vm.ipi(17)
        check(vm, 3, 0, ACCEPT)

    def test_recorded_while_interrupts_are_masked(self, vm):
        vm.tell(3, "cli")
        accept(vm, 3)
        vm.ipi(3)
        check(vm, 3, 0, ACCEPT | BIT, deferred=1)

    def test_from_an_isolated_cpu(self, vm):
        accept(vm, 2)
        vm.ipi(2, cpu=3)
        check(vm, 2, 0, ACCEPT | BIT, deferred=1)

    @pytest.mark.only("tcg-x2apic")
    def test_self_ipi_register(self, vm):
        vm.wrmsr(3, MSR_X2APIC_SELF, VECTOR)
        check(vm, 3, 1, 0, delivered_in_kernel=1)
        accept(vm, 3)
        vm.wrmsr(3, MSR_X2APIC_SELF, VECTOR)
        check(vm, 3, 1, ACCEPT | BIT, delivered_in_kernel=1, deferred=1)

    # -- the doorbell ---------------------------------------------------------

    @pytest.mark.only(*RINGING)
    def test_id_255_is_no_broadcast(self, vm):
        accept(vm, 3)
        vm.send(VECTOR, 0xff)
        check(vm, 3, 0, ACCEPT)
        check(vm, 0, 0, 0)

    @pytest.mark.only(*RINGING)
    def test_icr_is_not_looked_at(self, vm):
        """I3: a guest that does not ring has its IPIs delivered."""
        accept(vm, 3)
        vm.icr(ASSERT | VECTOR, 3)
        check(vm, 3, 1, ACCEPT)

    @pytest.mark.only(*RINGING)
    def test_refused_writes_send_nothing(self, vm):
        accept(vm, 3)
        writes, refused = rung(vm)
        bad = (LOWEST, SMI, NMI, INIT, SIPI, 7 << 8, 3 << 8, LOGICAL, LEVEL,
               *(1 << bit for bit in (12, 13, 16, 17, 20, 31)))
        for low in bad:
            vm.assert_gp(0, MSR_ICR, 3 << 32 | low | VECTOR)
        for vector in 0, 16, 31, 255:
            vm.assert_gp(0, MSR_ICR, 3 << 32 | vector)
        check(vm, 3, 0, ACCEPT)
        assert rung(vm) == (writes, refused + len(bad) + 4)

    @pytest.mark.only(*RINGING)
    def test_doorbells_cannot_be_read(self, vm):
        for number in MSR_ICR, MSR_ICR_MULTI:
            with pytest.raises(Refused):
                vm.rdmsr(0, number)

    @pytest.mark.only(*RINGING)
    def test_one_write_for_all_targets(self, vm):
        """I1, one target each way."""
        accept(vm, 1, 2)
        writes, refused = rung(vm)
        vm.ring_multi(0, REQUEST, VECTOR, 0, 0, 1, 2, 3)
        assert rung(vm) == (writes + 1, refused)
        check(vm, 0, 1, 0, delivered_not_isolated=1)
        check(vm, 1, 1, ACCEPT, delivered_not_isolated=1)
        check(vm, 2, 0, ACCEPT | BIT, deferred=1)
        check(vm, 3, 1, 0, delivered_in_kernel=1)

    @pytest.mark.only(*RINGING)
    def test_multicast_names_ids_from_its_base_on(self, vm):
        accept(vm, 2, 3)
        # Bits below and above, and IDs that nobody has.
        vm.ring_multi(0, REQUEST, VECTOR, 3, 0, 1, 64, 447)
        check(vm, 2, 0, ACCEPT)
        check(vm, 3, 0, ACCEPT | BIT, deferred=1)
        vm.ring_multi(0, REQUEST, VECTOR, 4, *range(448))
        check(vm, 2, 0, ACCEPT)
        check(vm, 3, 0, ACCEPT | BIT, deferred=1)

    @pytest.mark.only(*RINGING)
    def test_multicast_of_an_untyped_vector(self, vm):
        """I3"""
        accept(vm, 2, 3)
        vm.ring_multi(0, REQUEST, PLAIN, 0, 2, 3)
        for cpu in 2, 3:
            assert vm.taken(cpu, PLAIN) == 1
            check(vm, cpu, 0, ACCEPT)

    @pytest.mark.only(*RINGING)
    def test_empty_multicast(self, vm):
        accept(vm, 3)
        vm.ring_multi(0, REQUEST, VECTOR, 3)
        check(vm, 3, 0, ACCEPT)

    @pytest.mark.only(*RINGING)
    def test_request_at_the_end_of_memory(self, vm):
        accept(vm, 3)
        vm.ring_multi(0, 32 * MIB - 64, VECTOR, 0, 3)
        check(vm, 3, 0, ACCEPT | BIT, deferred=1)

    @pytest.mark.only(*RINGING)
    def test_bad_requests_send_nothing(self, vm):
        """I7"""
        accept(vm, 3)
        vm.write(REQUEST, struct.pack("<II7Q", VECTOR, 0, 8, *[0] * 6))
        for address in (REQUEST + 8, REQUEST + 32, REQUEST + 1,   # unaligned
                        32 * MIB, 0xa0000, 0xfee00000, 1 << 40,   # no RAM
                        0xffffffffffffffc0):
            vm.assert_gp(0, MSR_ICR_MULTI, address)
        for vector, base, bits in ((31, 0, [3]), (255, 0, [3]),
                                   (VECTOR | 0x100, 0, [3]),
                                   (VECTOR, 0xfffffffc, [3]),
                                   (VECTOR, 0xffffffff, [0]), (0, 0, [])):
            with pytest.raises(Refused):
                vm.ring_multi(0, REQUEST, vector, base, *bits)
        check(vm, 3, 0, ACCEPT)

    # -- the ICR, intercepted under KVM ---------------------------------------

    @pytest.mark.only("kvm-off")
    def test_offers_the_icr(self, vm):
        assert vm.cpuid(CPUID_BASE + 1) == [1, 1, 8, 0]

    @pytest.mark.only("kvm-off")
    def test_no_x2apic(self, vm):
        assert vm.cpuid(1)[2] >> 21 & 1 == 0

    @pytest.mark.only("kvm-off")
    def test_refused_without_the_object(self, boot):
        with pytest.raises(Failed) as caught:
            boot(options=())
        assert "KVM does not support userspace APIC" in str(caught.value)
