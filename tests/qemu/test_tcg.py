# SPDX-License-Identifier: GPL-2.0-or-later
"""What the series mends in TCG itself (vmm/qemu/patches/tcg), without the object."""
import signal

import pytest

from tests.support import requirements
from tests.support.contract import WORDS, word
from tests.support.machine import Failed
from tests.support.migration import load, save

pytestmark = [pytest.mark.qemu, pytest.mark.ctest(timeout=900, processors=2)]
CHANGES = 200           # of the memory map


def astray(boot, **kwargs):
    """How many of a vCPU's reads found another device."""
    slow = requirements.path("IPIDEFER_SLOW_COMMIT")
    vm = boot(options=(), environment={"LD_PRELOAD": slow}, **kwargs)
    vm.spread(1, 3)
    version = 0xfee00030
    value = vm.r32(version)
    # A q35's AHCI controller: its registers lie below the local APIC's, so
    # with them or without, the APIC's section has another number.
    vm.select(4, slot=31, function=2)
    command = vm.tell(0, "in", 0xcfc, 4)[0]
    assert command & 2, f"not in memory: {command:#x}"
    vm.w32(WORDS, 0)
    vm.tell(3, "!watch", version, value, WORDS, 300000)
    vm.tell(1, "flip", 0xcfc, command & ~2, command, CHANGES,
            3000000)
    vm.w32(WORDS, 1)
    reads, strayed = vm.tell(3, "wait")
    assert reads > CHANGES
    return strayed


class TestMemoryMap:
    """One vCPU's MMIO while another programs a device (tcg/0002).

    An EOI that goes astray leaves its interrupt in service, and no interrupt of
    its priority or below is taken any more: I1, by the back door.
    """

    def test_mmio_reaches_its_device(self, boot):
        assert astray(boot) == 0

    def test_mmio_goes_astray_without_the_series(self, boot, stock):
        """The control. Fails once Debian's QEMU no longer needs tcg/0002."""
        assert astray(boot, qemu=stock) > 0


class TestRamAfterAnotherBackend:
    """The machine's RAM is not the first of all RAM, so that the dirty pages of one are
    not those of the other (tcg/0003)."""

    @pytest.fixture(scope="class")
    def options(self):
        return ("-object", "memory-backend-ram,id=m0,size=1M,share=on",
                "-device", "ivshmem-plain,memdev=m0,addr=5,master=on")

    def test_it_migrates(self, boot, tmp_path):
        vm = boot()
        vm.w32(word(3), 0x12345678)
        save(vm, f"file:{tmp_path}/stream")
        vm = load(boot, f"file:{tmp_path}/stream")
        assert vm.r32(word(3)) == 0x12345678

    def test_it_does_not_without_the_series(self, boot, stock, tmp_path):
        """The control. Fails once Debian's QEMU no longer needs tcg/0003."""
        vm = boot(qemu=stock)
        vm.w32(word(3), 0x12345678)
        with pytest.raises(Failed):
            save(vm, f"file:{tmp_path}/stream")
        assert vm.process.wait(30) == -signal.SIGABRT
