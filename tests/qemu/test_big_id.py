# SPDX-License-Identifier: GPL-2.0-or-later
"""A vCPU whose APIC ID only the doorbell can name."""
import pytest

from tests.support.contract import ACCEPT, BIT, REQUEST, VECTOR, word

pytestmark = [pytest.mark.qemu, pytest.mark.ctest(timeout=900, processors=2)]
ID = 287
SLOT = 31               # where the puppet keeps it


@pytest.mark.machines(long=["doorbell", "kvm-split-xapic"])
class TestBigId:
    """APIC IDs above 254: the doorbell has 32 bits for them."""

    @pytest.fixture(scope="class")
    def options(self):
        return ("-object", f"ipi-defer,id=d0,isolated-cpus={ID},idle=on,doorbell=on,icr=off",
                "-cpu", "qemu64,+x2apic", "-device",
                f"qemu64-x86_64-cpu,socket-id={ID},core-id=0,thread-id=0")

    def test_unicast_and_multicast(self, boot):
        vm = boot(cpus="1,maxcpus=288,sockets=288,cores=1,threads=1")
        vm.enable_x2apic(0)
        vm.tell(0, "clear")
        vm.register(SLOT)
        slot, where = SLOT, word(SLOT)
        assert vm.defer(ID)["registered"]
        vm.ring(0, ID << 32 | VECTOR)
        assert vm.taken(slot, VECTOR) == 1
        vm.ring_multi(0, REQUEST, VECTOR, 0, ID)
        assert vm.taken(slot, VECTOR) == 2
        # Their low bytes are 31.
        vm.ring(0, 31 << 32 | VECTOR)
        vm.ring(0, (ID + 256) << 32 | VECTOR)
        vm.ring_multi(0, REQUEST, VECTOR, 30, 1, 256)
        assert vm.taken(slot, VECTOR) == 2
        vm.w32(where, ACCEPT)
        vm.ring(0, ID << 32 | VECTOR)
        assert vm.r32(where) == ACCEPT | BIT
        vm.w32(where, ACCEPT)
        vm.ring_multi(0, REQUEST, VECTOR, ID, 0)
        assert vm.r32(where) == ACCEPT | BIT
        vm.ring(0, 0xffffffff << 32 | VECTOR)
        assert vm.taken(0, VECTOR) == 1
        assert vm.taken(slot, VECTOR) == 2
        assert vm.counters(ID, VECTOR) == {
            "delivered-in-kernel": 2, "deferred": 2, "coalesced": 1}
