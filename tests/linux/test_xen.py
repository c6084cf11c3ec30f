# SPDX-License-Identifier: GPL-2.0-or-later
"""A Linux that is a PV guest of Xen runs as without deferral, whatever it is told.

Xen PV delivers the vectors that Linux itself uses, and drops all others: who sends a
typed IPI there waits for ever. The same Linux without Xen, in the same machine, must
defer: it is not the machine that keeps it from doing so.
"""
import contextlib

import pytest

from tests.support import requirements
from tests.support.initramfs import archive, obeying_root
from tests.support.linux_guest import BASE, ISOLATION, Guest

pytestmark = [pytest.mark.nested, pytest.mark.ctest(timeout=900, processors=2)]


class XenGuest(Guest):
    """Linux as Xen's first domain, whose console is Xen's."""

    def __init__(self, qemu, kernel, initrd, append, xen):
        # pylint: disable=super-init-not-called
        linux = f"{BASE} console=hvc0 {ISOLATION} generation=1 {append}"
        # Xen's own messages are not among those of Linux.
        options = "com2=115200 console=com2 loglvl=none guest_loglvl=none dom0_mem=512M"
        modules = f"{kernel}/bzImage {linux}".replace(",", ",,") + f",{initrd}"
        self.launch(qemu, xen, "-cpu", "max", "-no-reboot", "-append", options,
                    # Modules are separated by commas, so those in one are doubled.
                    "-initrd", modules,
                    "-object", "ipi-defer,id=d0,isolated-cpus=2-3", memory="1G")


@pytest.fixture
def boot_xen(qemu, kernel, tmp_path):
    """Boots Linux under Xen for the time of a test."""
    xen = requirements.path("IPIDEFER_XEN")
    initrd = tmp_path / "initrd"
    archive(initrd, obeying_root())
    with contextlib.ExitStack() as guests:
        yield lambda append: guests.enter_context(
            XenGuest(qemu, kernel, initrd, append, xen))


def expect_off(boot_xen, append):
    guest = boot_xen(append)
    log = guest.lines_of("dmesg")
    assert any("Booting kernel on Xen" in line or "Hypervisor detected: Xen PV" in line
               for line in log), log[:20]
    because = [line for line in log if "ipi_defer=off" in line
               and "Command line" not in line and "command line" not in line]
    assert len(because) == 1, because
    assert "does not deliver typed vectors" in because[0]
    guest.run("toggle")
    # CPUs that go and come do what they did before.
    online = "/sys/devices/system/cpu/cpu1/online"
    guest.run(f"[ ! -e {online} ] || {{ echo 0 >{online}; echo 1 >{online}; }}")
    guest.run("toggle")


class TestXen:
    def test_guest_mode(self, boot_xen):
        expect_off(boot_xen, "ipi_defer=guest")

    def test_hv_mode(self, boot_xen):
        expect_off(boot_xen, "ipi_defer=hv")

    def test_control(self, boot):
        guest = boot("ipi_defer=guest")
        before = guest.work_stats("sync_core")
        guest.run("toggle")
        after = guest.work_stats("sync_core")
        assert after["suppressed"] > before["suppressed"]
