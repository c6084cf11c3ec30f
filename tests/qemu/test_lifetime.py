# SPDX-License-Identifier: GPL-2.0-or-later
"""What ends a registration, or has it lose a word."""
import pytest

from tests.support.contract import (ACCEPT, ASSERT, BIT, BIT2, MSR_REGISTER, OTHER,
                                    OTHERS, VECTOR, binding, msr, table, word)
from tests.support.machine import wait_until

pytestmark = [pytest.mark.qemu, pytest.mark.ctest(timeout=900, processors=2)]


def record(vm, cpu=3):
    vm.w32(word(cpu), ACCEPT)
    vm.ipi(cpu)
    assert vm.r32(word(cpu)) == ACCEPT | BIT


@pytest.mark.machines("tcg-xapic", long=["kvm-xapic", "kvm-off"])
class TestLifetime:
    def test_system_reset(self, boot):
        vm = boot()
        vm.register(2)
        vm.register(3)
        vm.qmp("system_reset")
        vm.wait_ready()
        for cpu in 2, 3:
            assert not vm.defer(cpu)["registered"]
            assert vm.rdmsr(cpu, MSR_REGISTER) == 0
        vm.w32(word(3), ACCEPT)
        vm.ipi(3)
        assert vm.taken(3, VECTOR) == 1
        assert vm.r32(word(3)) == ACCEPT
        vm.register(3)
        record(vm)

    @pytest.mark.without("kvm-xapic")
    def test_init_ends_that_cpus_only(self, boot):
        vm = boot()
        vm.register(2)
        vm.register(3)
        vm.tell(0, "start", 3)
        assert vm.rdmsr(3, MSR_REGISTER) == 0
        assert not vm.defer(3)["registered"]
        assert vm.defer(2)["registered"]
        record(vm, 2)

    @pytest.mark.only("*-decided")
    def test_init_that_kvm_takes_ends_that_cpus_only(self, boot):
        """Where it decides, KVM ends the registration, and QEMU asks it."""
        self.test_init_ends_that_cpus_only(boot)

    @pytest.mark.only("kvm-xapic")
    @pytest.mark.without("*-decided")
    def test_init_that_the_kernel_sees_ends_nothing(self, boot):
        """Nobody tells QEMU: the guest has to do it."""
        vm = boot()
        vm.register(2)
        vm.register(3)
        vm.tell(0, "start", 3)
        assert vm.rdmsr(3, MSR_REGISTER) == msr(table(3), 1)
        vm.wrmsr(3, MSR_REGISTER, 0)
        vm.w32(word(3), ACCEPT)
        vm.ipi(3)
        assert vm.taken(3, VECTOR) == 1
        assert vm.r32(word(3)) == ACCEPT
        assert vm.defer(2)["registered"]
        record(vm, 2)

    @pytest.mark.without("kvm-off")
    def test_unplug_and_plug_in_again(self, boot):
        vm = boot(cpus="3,maxcpus=5", machine="pc")
        topology = dict(driver="qemu64-x86_64-cpu", socket_id=3, core_id=0,
                        thread_id=0, id="extra")
        slots = {c["props"]["socket-id"] for c in
                 vm.qmp("query-hotpluggable-cpus")}
        if slots == {0}:
            topology.update(socket_id=0, core_id=3)
        vm.legacy_hotplug_off()
        vm.qmp("device_add", **topology)
        vm.tell(0, "start", 3)
        vm.register(3)
        record(vm)
        vm.qmp("device_del", id="extra")
        vm.eject(3)
        assert vm.online_cpus() == 3
        assert not vm.defer(3)["registered"]
        # To nobody, and no crash.
        vm.ipi(3)
        vm.send(ASSERT | OTHERS | VECTOR)
        # Where a vCPU that has run cannot get its CPUID set a second time, as under
        # some nested KVMs, the unpatched QEMU ends here too.
        if vm.configuration.kvm:
            return
        vm.qmp("device_add", **topology)
        vm.tell(0, "start", 3)
        assert vm.rdmsr(3, MSR_REGISTER) == 0
        vm.register(3)
        record(vm)
        # Counters are those of the CPU's number.
        assert vm.counters(3, VECTOR)["deferred"] == 2

    @pytest.mark.without("kvm-off")
    def test_word_whose_memory_is_remapped_is_lost(self, boot):
        """I4: delivered until the guest registers anew."""
        vm = boot()
        hole = 0xd0000
        vm.pam(hole, 3)
        vm.register(3, binding(hole), binding(word(3), OTHER, bit=BIT2))
        vm.w32(hole, ACCEPT)
        vm.w32(word(3), ACCEPT)
        vm.ipi(3)
        assert vm.r32(hole) == ACCEPT | BIT
        vm.pam(hole, 0)
        vm.ipi(3)
        vm.ipi(3, OTHER)
        assert vm.taken(3, VECTOR) == 1
        assert vm.counters(3, VECTOR) == {"deferred": 1, "delivered-bad-word": 1}
        # The other word has not moved.
        assert vm.r32(word(3)) == ACCEPT | BIT2
        first, second = vm.defer(3)["bindings"]
        assert "word" not in first
        assert second["word"] == ACCEPT | BIT2
        assert "not there now" in vm.hmp("info ipi-defer")
        # Back again: still lost, until registered anew.
        vm.pam(hole, 3)
        vm.ipi(3)
        assert vm.taken(3, VECTOR) == 2
        assert vm.rdmsr(3, MSR_REGISTER) == msr(table(3), 2)
        vm.w32(hole, ACCEPT)
        vm.register(3, binding(hole))
        vm.ipi(3)
        assert vm.r32(hole) == ACCEPT | BIT

    @pytest.mark.without("kvm-off")
    def test_word_under_which_other_memory_appears_is_lost(self, boot):
        """In one step: there is RAM all the time, but not the same."""
        vm = boot("-object", "memory-backend-ram,id=r0,size=1M",
                  "-object", "memory-backend-ram,id=r1,size=1M",
                  "-device", "ivshmem-plain,memdev=r0,addr=2",
                  "-device", "ivshmem-plain,memdev=r1,addr=3")
        here, away = 0xe0000000 - 0x200000, 0xe0000000 - 0x400000
        for slot, bar in (2, here), (3, away):
            vm.map_bar(slot, bar)
        vm.w32(here, ACCEPT)
        vm.w32(away, ACCEPT)
        vm.register(3, binding(here))
        vm.ipi(3)
        assert vm.r32(here) == ACCEPT | BIT
        # The second device on top of the first.
        vm.configure(3, 0x18, here)
        assert vm.r32(here) == ACCEPT
        vm.ipi(3)
        assert vm.r32(here) == ACCEPT
        assert vm.taken(3, VECTOR) == 1
        assert vm.counters(3, VECTOR) == {"deferred": 1, "delivered-bad-word": 1}

    @pytest.mark.without("kvm-*")
    def test_registration_keeps_no_other_memory_alive(self, boot, tmp_path):
        backing = tmp_path / "ram"
        backing.touch()
        vm = boot("-object", "memory-backend-file,id=r0,size=1M,share=on,"
                  f"mem-path={backing}",
                  "-device", "ivshmem-plain,memdev=r0,addr=5,id=d5",
                  machine="pc")
        bar = 0xfd000000
        vm.map_bar(5, bar)
        vm.w32(bar, 0x1234)
        assert vm.r32(bar) == 0x1234
        vm.register(3)
        record(vm)
        # What a guest's AML does to eject slot 5 of bus 0.
        vm.qmp("device_del", id="d5")
        vm.outl(0xae10, 0)
        vm.outl(0xae08, 1 << 5)
        assert vm.r32(bar) != 0x1234
        vm.qmp("object-del", id="r0")
        wait_until("memory still mapped", lambda: not vm.maps(str(backing)), timeout=10)
        record(vm)
        assert vm.taken(3, VECTOR) == 0

    @pytest.mark.without("kvm-off")
    def test_read_only_word_is_refused(self, boot):
        vm = boot()
        hole = 0xd0000
        vm.pam(hole, 1)
        vm.write(table(3), binding(hole))
        vm.assert_gp(3, MSR_REGISTER, msr(table(3), 1))
