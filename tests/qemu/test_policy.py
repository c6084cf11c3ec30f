# SPDX-License-Identifier: GPL-2.0-or-later
"""The object's properties while the guest runs, and what QMP and HMP show of it."""
import pytest

from tests.support.contract import ACCEPT, BIT, OTHER, VECTOR, binding, word

pytestmark = [pytest.mark.qemu, pytest.mark.ctest(timeout=900, processors=2)]
OFFERED = {"icr": True, "doorbell": False, "max-age-ns": 0, "doorbell-multi": False,
           "doorbell-writes": 0, "doorbell-refused": 0, "undelivered": 0,
           "in-kernel": False}


def delivered(vm, reason="delivered-policy"):
    before = vm.taken(3, VECTOR)
    counted = vm.counters(3, VECTOR).get(reason, 0)
    vm.ipi(3)
    assert vm.taken(3, VECTOR) == before + 1
    assert vm.counters(3, VECTOR)[reason] == counted + 1


def recorded(vm):
    before = vm.taken(3, VECTOR)
    vm.w32(word(3), vm.r32(word(3)) & ~BIT)
    vm.ipi(3)
    assert vm.taken(3, VECTOR) == before
    assert vm.r32(word(3)) & BIT == BIT


@pytest.mark.machines("tcg-xapic", long=["kvm-xapic"])
class TestPolicy:
    @pytest.fixture
    def vm(self, vm):
        vm.register(3)
        vm.w32(word(3), ACCEPT)
        return vm

    def test_switched_off_and_on_while_running(self, vm):
        recorded(vm)
        vm.set("enabled", False)
        assert vm.get("enabled") is False
        delivered(vm)
        # Recorded work stays.
        assert vm.r32(word(3)) == ACCEPT | BIT
        vm.set("enabled", True)
        recorded(vm)

    def test_isolated_cpus_changed_while_running(self, vm):
        vm.set("isolated-cpus", [1])
        assert vm.get("isolated-cpus") == [1]
        delivered(vm, "delivered-not-isolated")
        vm.set("isolated-cpus", [])
        delivered(vm, "delivered-not-isolated")
        vm.set("isolated-cpus", [0, 3])
        recorded(vm)

    def test_bad_isolated_cpus_change_nothing(self, vm):
        for bad in ([4], [2, 4095], [4096], [65535]):
            error = vm.qmp_error("qom-set", path="/objects/d0",
                                 property="isolated-cpus", value=bad)
            assert str(bad[-1]) in error
        assert "last CPU is 3" in vm.qmp_error(
            "qom-set", path="/objects/d0", property="isolated-cpus", value=[9])
        assert vm.get("isolated-cpus") == [2, 3]
        recorded(vm)

    def test_vectors_changed_while_running(self, vm):
        assert vm.get("vectors") == list(range(32, 255))
        vm.set("vectors", [OTHER])
        delivered(vm)
        vm.set("vectors", [VECTOR, OTHER])
        recorded(vm)

    def test_bad_vectors_change_nothing(self, vm):
        for bad in (0, 31, 255):
            assert f"{bad} is not between 32 and 254" in vm.qmp_error(
                "qom-set", path="/objects/d0", property="vectors",
                value=[VECTOR, bad])
        recorded(vm)

    def test_contexts_of_a_guest_that_tells_its_state(self, vm):
        # State in bits 5:4 of the word.
        vm.register(3, binding(word(3), state_mask=0x30, shift=4,
                               user=1, guest=2, idle=3))
        for value, name in ((1, "user"), (2, "guest"), (3, "idle")):
            vm.w32(word(3), ACCEPT | value << 4)
            vm.set(name, True)
            recorded(vm)
            vm.set(name, False)
            vm.w32(word(3), ACCEPT | value << 4)
            delivered(vm)
            vm.set(name, True)

    def test_unknown_state_needs_all_contexts(self, vm):
        for name in "user", "guest", "idle":
            vm.set(name, False)
            delivered(vm)
            vm.set(name, True)
            recorded(vm)

    def test_object_cannot_be_deleted_nor_added(self, vm):
        assert "in use" in vm.qmp_error("object-del", id="d0")
        assert "only one" in vm.qmp_error(
            "object-add", qom_type="ipi-defer", id="d1")

    @pytest.mark.only("tcg-*")
    def test_query(self, vm):
        vm.ipi(3)
        info = vm.qmp("query-ipi-defer")
        assert ({k: v for k, v in info.items() if k != "cpus"}
                == {"id": "d0", "enabled": True, "user": True, "guest": True,
                    "idle": True, **OFFERED})
        assert [c["isolated"] for c in info["cpus"]] == [False, False, True, True]
        assert [c["registered"] for c in info["cpus"]] == [False, False, False, True]
        assert [c["apic-id"] for c in info["cpus"]] == [0, 1, 2, 3]
        assert info["cpus"][3]["bindings"] == [
            {"vector": VECTOR, "word-gpa": word(3), "accept-mask": ACCEPT,
             "accept-value": ACCEPT, "work-bit": BIT, "state-mask": 0,
             "word": ACCEPT | BIT}]

    @pytest.mark.only("tcg-*")
    def test_info(self, vm):
        vm.ipi(3)
        text = vm.hmp("info ipi-defer")
        assert "CPU #3: APIC ID 3, isolated, registered" in text
        assert f"word at {word(3):#x}" in text
        assert f"now {ACCEPT | BIT:#010x}" in text
        assert "deferred 1, coalesced 0" in text
        assert "ICR seen, doorbell not offered, rung 0 times" in text

    @pytest.mark.only("kvm-*")
    def test_query_of_the_doorbell(self, vm, configuration):
        before = vm.qmp("query-ipi-defer")
        vm.ipi(3)
        info = vm.qmp("query-ipi-defer")
        assert info["doorbell-writes"] == before["doorbell-writes"] + 1
        assert (info["icr"], info["doorbell"]) == (False, True)
        assert info["in-kernel"] is configuration.decided

    @pytest.mark.only("kvm-*")
    def test_info_of_the_doorbell(self, vm):
        assert "ICR not seen, doorbell offered, rung" in vm.hmp("info ipi-defer")
