# SPDX-License-Identifier: GPL-2.0-or-later
"""Values that QEMU refuses at start, and how it says so; and those that it takes."""
import functools

import pytest

from tests.support.machine import Failed

pytestmark = [pytest.mark.qemu, pytest.mark.ctest(timeout=900, processors=2)]


@pytest.fixture
def start(boot):
    """Starts a QEMU without a guest, and with these options only."""
    return functools.partial(boot, guest=None, options=())


def refused(start, *args, **kwargs):
    """@return what QEMU says when it does not start."""
    with pytest.raises(Failed) as caught:
        start(*args, **kwargs)
    return str(caught.value)


class TestOptions:
    """Values that QEMU refuses at start, and how it says so."""

    def test_cpu_out_of_range(self, start):
        assert "no CPU 5, the machine's last CPU is 3" in refused(
            start, "-object", "ipi-defer,id=d0,isolated-cpus=2-3,isolated-cpus=5")

    def test_vector_out_of_range(self, start):
        assert "12 is not between 32 and 254" in refused(
            start, "-object", "ipi-defer,id=d0,vectors=12-40")

    def test_two_objects(self, start):
        assert "only one per machine, 'd0' exists" in refused(
            start, "-object", "ipi-defer,id=d0", "-object", "ipi-defer,id=d1")

    def test_machine_without_apics(self, start):
        assert "machine type 'none'" in refused(
            start, "-object", "ipi-defer,id=d0", machine="none", cpus="1")

    def test_unknown_property(self, start):
        assert "nonsense" in refused(start, "-object", "ipi-defer,id=d0,nonsense=on")

    def test_neither_icr_nor_doorbell(self, start):
        assert "icr=off needs doorbell=on" in refused(
            start, "-object", "ipi-defer,id=d0,icr=off")
        assert "icr=off needs doorbell=on" in refused(
            start, "-object", "ipi-defer,id=d0,icr=off,doorbell=off")

    def test_what_the_guest_sees_cannot_be_changed(self, start):
        vm = start("-S", "-object", "ipi-defer,id=d0")
        for name in "icr", "doorbell":
            assert "cannot be changed any more" in vm.qmp_error(
                "qom-set", path="/objects/d0", property=name, value="on")
            assert vm.get(name) == "auto"

    def test_all_options(self, start):
        vm = start("-S", "-object",
                     "ipi-defer,id=d0,isolated-cpus=1,isolated-cpus=2-3,"
                     "user=off,guest=off,idle=on,enabled=off,"
                     "vectors=235-236,vectors=32")
        assert vm.get("isolated-cpus") == [1, 2, 3]
        assert vm.get("vectors") == [32, 235, 236]
        assert ([vm.get(n) for n in ("user", "guest", "idle", "enabled")]
                == [False, False, True, False])

    def test_json_and_defaults(self, start):
        vm = start("-S", "-object",
                     '{"qom-type": "ipi-defer", "id": "d0"}')
        assert vm.get("isolated-cpus") == []
        assert vm.get("vectors") == list(range(32, 255))
        assert ([vm.get(n) for n in ("user", "guest", "idle", "enabled")]
                == [True, True, False, True])

    def test_possible_but_absent_cpu_can_be_isolated(self, start):
        vm = start("-S", "-object",
                     "ipi-defer,id=d0,isolated-cpus=5",
                     cpus="2,maxcpus=6")
        assert vm.defer(5)["isolated"]

    def test_hot_adding_the_first_object_is_refused(self, start):
        vm = start("-S")
        assert "use -object" in vm.qmp_error(
            "object-add", qom_type="ipi-defer", id="d0")
