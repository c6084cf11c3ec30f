# SPDX-License-Identifier: GPL-2.0-or-later
"""What CPUID says, with and without the object, and that the MSRs are there with it."""
import struct

import pytest

from tests.support.contract import (ACCEPT, ASSERT, CPUID_BASE, MSR_ICR, MSR_ICR_MULTI,
                                    MSR_REGISTER, REQUEST, SIGNATURE, VECTOR, word)
from tests.support.machine import Failed
from tests.support.puppet import Refused

pytestmark = [pytest.mark.qemu, pytest.mark.ctest(timeout=900, processors=2)]


@pytest.mark.machines("tcg-xapic", long=["kvm-xapic"])
class TestDiscovery:
    def test_leaves_on_every_cpu(self, vm):
        ways = 6 if vm.configuration.kvm else 1
        for cpu in range(4):
            eax, ebx, ecx, edx = vm.cpuid(CPUID_BASE, cpu=cpu)
            assert (ebx, ecx, edx) == SIGNATURE
            assert eax == CPUID_BASE + 1
            assert vm.cpuid(CPUID_BASE + 1, cpu=cpu) == [1, ways, 8, 0]

    @pytest.mark.only("tcg-*")
    def test_tcg_leaves_are_as_ever(self, vm):
        eax, *name = vm.cpuid(0x40000000)
        assert struct.pack("<III", name[0], name[1], name[2]) == b"TCGTCGTCGTCG"
        assert eax == 0x40000001

    @pytest.mark.only("tcg-*")
    def test_next_leaf_is_out_of_range(self, vm):
        highest = vm.cpuid(0)[0]
        assert vm.cpuid(CPUID_BASE + 2) == vm.cpuid(highest)

    @pytest.mark.only("tcg-*")
    def test_without_object_no_leaf_and_no_msr(self, boot):
        vm = boot(options=())
        highest = vm.cpuid(0)[0]
        assert vm.cpuid(CPUID_BASE) == vm.cpuid(highest)
        vm.wrmsr(2, MSR_REGISTER, 0xffffffffffffffff)
        assert vm.rdmsr(2, MSR_REGISTER) == 0
        assert "no ipi-defer object" in vm.qmp_error("query-ipi-defer")

    @pytest.mark.only("tcg-*")
    def test_doorbell_does_not_exist(self, vm):
        vm.register(3)
        vm.w32(word(3), ACCEPT)
        vm.ring(0, 3 << 32 | ASSERT | VECTOR)
        vm.ring_multi(0, REQUEST, VECTOR, 0, 3)
        assert vm.r32(word(3)) == ACCEPT
        assert vm.taken(3, VECTOR) == 0

    @pytest.mark.only("tcg-*")
    def test_doorbell_beside_the_icr(self, boot):
        vm = boot(options=("-object", "ipi-defer,id=d0,doorbell=on"))
        assert vm.cpuid(CPUID_BASE + 1) == [1, 7, 8, 0]

    @pytest.mark.only("tcg-*")
    def test_doorbell_alone(self, boot):
        vm = boot(options=("-object", "ipi-defer,id=d0,doorbell=on,icr=off"))
        assert vm.cpuid(CPUID_BASE + 1) == [1, 6, 8, 0]

    @pytest.mark.only("kvm-*")
    def test_kvm_leaves_are_as_ever(self, vm):
        eax, *name = vm.cpuid(0x40000000)
        assert struct.pack("<III", *name) == b"KVMKVMKVM\0\0\0"
        assert eax == 0x40000001

    @pytest.mark.only("kvm-*")
    def test_without_object_no_leaf_and_unknown_msrs(self, boot):
        vm = boot(options=())
        assert tuple(vm.cpuid(CPUID_BASE)[1:]) != SIGNATURE
        for number in MSR_REGISTER, MSR_ICR, MSR_ICR_MULTI:
            vm.assert_gp(2, number, 0)
            with pytest.raises(Refused):
                vm.rdmsr(2, number)

    @pytest.mark.only("kvm-*")
    @pytest.mark.without("*-decided")
    def test_icr_cannot_be_offered(self, boot):
        with pytest.raises(Failed) as caught:
            boot(options=("-object", "ipi-defer,id=d0,icr=on"))
        assert "icr=on is not possible" in str(caught.value)

    @pytest.mark.only("*-decided")
    def test_icr_can_be_offered(self, boot):
        vm = boot(options=("-object", "ipi-defer,id=d0,icr=on"))
        assert vm.cpuid(CPUID_BASE + 1) == [1, 1, 8, 0]

    @pytest.mark.only("kvm-*")
    def test_doorbell_off_offers_nothing(self, boot):
        with pytest.raises(Failed) as caught:
            boot(options=("-object", "ipi-defer,id=d0,doorbell=off"))
        assert "the guest is offered nothing" in str(caught.value)
