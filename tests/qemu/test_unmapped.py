# SPDX-License-Identifier: GPL-2.0-or-later
"""Guests that arrive with a word that is not where it was."""
import struct

import pytest

from tests.support.contract import ACCEPT, BIT, OTHER, VECTOR, binding, table, word
from tests.support.migration import load, save, tamper

pytestmark = [pytest.mark.qemu, pytest.mark.ctest(timeout=900, processors=2)]
BAR = 0xe0000000
MEMORY = "memory-backend-ram,id=mb,size=1M,share=on"
DEVICE = "ivshmem-plain,id=iv,memdev=mb,addr=0x5,master=on"


def go(boot, uri):
    """Have a guest migrate that has a word in such a device, with work."""
    vm = boot(machine="pc")
    vm.qmp("object-add", qom_type="memory-backend-ram", id="mb", size=1 << 20, share=True)
    vm.qmp("device_add", driver="ivshmem-plain", id="iv", memdev="mb", addr="0x5",
           master="on")
    vm.map_bar(5, BAR)
    vm.w32(BAR, ACCEPT)
    vm.register(3, binding(BAR), binding(word(3), OTHER, bit=1 << 9))
    vm.w32(word(3), ACCEPT)
    vm.ipi(3)
    assert vm.r32(BAR) == ACCEPT | BIT
    save(vm, uri)


class TestUnmapped:
    """A word in the RAM of a device that was plugged in, and has its BAR where the
    destination's device has none yet when its registration is loaded."""

    def test_word_appears_with_its_device(self, boot, tmp_path):
        stream = f"file:{tmp_path}/stream"
        go(boot, stream)
        vm = load(boot, stream, "-object", MEMORY, "-device", DEVICE, machine="pc")
        assert vm.r32(BAR) == ACCEPT | BIT
        vm.ipi(3)
        vm.ipi(3, OTHER)
        assert vm.counters(3, VECTOR) == {"coalesced": 1}
        assert vm.counters(3, OTHER) == {"deferred": 1}
        assert vm.taken(3, VECTOR) == 0

    def test_guest_that_bound_a_word_nowhere_arrives(self, boot, tmp_path):
        """As when its memory goes on a host: that word is lost (I4)."""
        vm = boot()
        hole = 0xd0000
        vm.pam(hole, 3)
        vm.register(3, binding(hole),
                    binding(word(3), OTHER, bit=1 << 9))
        vm.w32(word(3), ACCEPT)
        vm.write(table(3), bytes(64))
        vm.qmp("stop")
        stream = tmp_path / "stream"
        save(vm, f"exec:cat >{stream}")
        good = binding(hole)
        tamper(stream, good, struct.pack("<Q", 0xfe000000) + good[8:])
        vm = load(boot, f"exec:cat {stream}")
        vm.qmp("cont")
        first, second = vm.defer(3)["bindings"]
        assert "word" not in first
        assert second["word"] == ACCEPT
        vm.ipi(3)
        vm.ipi(3, OTHER)
        assert vm.counters(3, VECTOR) == {"delivered-bad-word": 1}
        assert vm.counters(3, OTHER) == {"deferred": 1}
        assert vm.taken(3, VECTOR) == 1
