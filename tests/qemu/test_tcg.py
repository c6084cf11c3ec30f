# SPDX-License-Identifier: GPL-2.0-or-later
"""What the series mends in TCG itself (vmm/qemu/patches/tcg), without the object."""
import signal

import pytest

from tests.support import requirements
from tests.support.contract import PLAIN, WORDS, word
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


SVM = ("-cpu", "max,+svm")
STOP = WORDS


class TestInjection:
    """An interrupt that VMRUN injects comes once (tcg/0005)."""

    RUNS = 3000

    def surplus(self, boot, **kwargs):
        """How often a nested guest takes what was not injected, while another vCPU has its
        own asked out of its loop again and again."""
        vm = boot(options=SVM, **kwargs)
        vm.spread(1, 3)
        vm.w32(STOP, 0)
        # Across two pages.
        vm.tell(1, "!add", WORDS + 0x8000 - 2, STOP)
        assert vm.tell(3, "inject", PLAIN, self.RUNS, 20000) == [0]
        vm.w32(STOP, 1)
        assert vm.tell(1, "wait")[0] > 100
        return vm.taken(3, PLAIN) - self.RUNS

    def test_once(self, boot):
        assert self.surplus(boot) == 0

    def test_more_than_once_without_the_series(self, boot, stock):
        """The control. Fails once Debian's QEMU no longer needs tcg/0005."""
        assert self.surplus(boot, qemu=stock) > 0


class TestInterruptWindow:
    """An interrupt that comes while VMRUN opens an interrupt window is not lost
    (tcg/0004)."""

    IPIS = 30_000
    # In about milliseconds. A host may keep a vCPU from running for a while.
    TIMEOUT = 10_000

    def seen(self, boot, **kwargs):
        """@return how many were sent, whether the last was taken, windows not opened"""
        vm = boot(options=SVM, **kwargs)
        vm.spread(1, 3)
        vm.w32(STOP, 0)
        vm.tell(3, "!windows", STOP)
        sent, all_taken = vm.tell(1, "one-by-one", 3, PLAIN, self.IPIS, self.TIMEOUT)
        vm.w32(STOP, 1)
        runs, odd = vm.tell(3, "wait")
        assert runs > sent // 10
        return sent, bool(all_taken), odd

    def test_none_is_lost(self, boot):
        assert self.seen(boot) == (self.IPIS, True, 0)

    def test_one_is_without_the_series(self, boot, stock):
        """The control. Fails once Debian's QEMU no longer needs tcg/0004. Two bits are set
        at the same time: either may be the one that is lost."""
        assert self.seen(boot, qemu=stock) != (self.IPIS, True, 0)


class TestGlobalInterruptFlag:
    """The first CPU's GIF is its own, whatever the others do to their FPUs (tcg/0006)."""

    ROUNDS = 30_000

    def seen(self, boot, **kwargs):
        """@return how many interrupts were taken with GIF clear, and not once it was set"""
        vm = boot(options=SVM, **kwargs)
        vm.spread(0, 1)
        vm.w32(STOP, 0)
        vm.tell(1, "!fldenv", STOP)
        wrong = vm.tell(0, "gif", PLAIN, self.ROUNDS)
        vm.w32(STOP, 1)
        assert vm.tell(1, "wait")[0] > self.ROUNDS
        return wrong

    def test_it_keeps_what_it_is_set_to(self, boot):
        assert self.seen(boot) == [0, 0]

    def test_it_does_not_without_the_series(self, boot, stock):
        """The control. Fails once Debian's QEMU no longer needs tcg/0006."""
        assert sum(self.seen(boot, qemu=stock)) > 0
