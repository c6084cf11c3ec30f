# SPDX-License-Identifier: GPL-2.0-or-later
"""What the guest found in CPUID must be there where it goes."""
import pytest

from tests.support.contract import CPUID_BASE, MSR_ICR_MULTI
from tests.support.machine import Failed
from tests.support.migration import save

pytestmark = [pytest.mark.qemu, pytest.mark.ctest(timeout=900, processors=2)]
# Properties of the object, and what QEMU calls it.
COMBINATIONS = {
    "icr": ("icr=on,doorbell=off", "icr"),
    "bell": ("icr=off,doorbell=on", "doorbell, doorbell-multi"),
    "one": ("icr=off,doorbell=on,doorbell-multi=off", "doorbell"),
    "both": ("icr=on,doorbell=on", "icr, doorbell, doorbell-multi"),
}


def offering(name):
    """@return options of a machine that offers its guest this"""
    return ("-object", f"ipi-defer,id=d0,isolated-cpus=2-3,{COMBINATIONS[name][0]}")


class TestOffer:
    def test_any_two_that_differ_are_refused(self, boot, tmp_path):
        stream = f"file:{tmp_path}/stream"
        for source, (_, theirs) in COMBINATIONS.items():
            vm = boot(options=offering(source))
            vm.qmp("stop")
            save(vm, stream)
            for target, (_, ours) in COMBINATIONS.items():
                vm = boot("-incoming", "defer", boot=False,
                          options=offering(target))
                vm.qmp("migrate-incoming", uri=stream,
                       exit_on_error=False)
                if source == target:
                    vm.wait_migrated()
                else:
                    with pytest.raises(Failed):
                        vm.wait_migrated()
                    assert (f"ipi-defer: the guest was offered {theirs}, and here it would "
                            f"find {ours} in CPUID; set icr, doorbell and doorbell-multi "
                            "of the object as they are at the source") in vm.output()
                vm.close()

    def test_multi_needs_a_doorbell(self, boot):
        with pytest.raises(Failed, match="doorbell-multi=on needs doorbell=on"):
            boot(options=("-object", "ipi-defer,id=d0,doorbell-multi=on"))

    def test_without_multi_there_is_no_such_msr(self, boot):
        vm = boot(options=offering("one"))
        assert vm.cpuid(CPUID_BASE + 1)[1] == 2
        vm.wrmsr(0, MSR_ICR_MULTI, 1)     # TCG ignores unknown ones
        assert vm.qmp("query-ipi-defer")["doorbell-refused"] == 0

    def test_confidential_guest_is_refused(self, boot):
        with pytest.raises(Failed, match="ipi-defer: not for a confidential guest "
                           r"\(sev-guest\), QEMU cannot record anything in its memory"):
            boot("-object", "sev-guest,id=sev0,cbitpos=47,reduced-phys-bits=1",
                 machine="q35,confidential-guest-support=sev0")
