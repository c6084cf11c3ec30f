#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A Linux that is a PV guest of Xen runs as without deferral, whatever it is told.

    test_xen.py [-v] [CLASS[.TEST]]...

Environment: as linux_guest.py, and IPIDEFER_XEN, a Xen hypervisor that QEMU's -kernel
loads. Status: 0 passed, 1 failed, 77 something is missing.

Xen PV delivers the vectors that Linux itself uses, and drops all others: who sends a
typed IPI there waits for ever. The same Linux without Xen, in the same machine, must
defer: it is not the machine that keeps it from doing so.
"""
import os
import sys
import unittest

from linux_guest import (BASE, ISOLATION, KERNEL, ROOT, Guest, GuestCase, archive,
                         missing)

XEN = os.environ.get("IPIDEFER_XEN", "")


class XenGuest(Guest):
    """Linux as Xen's first domain, whose console is Xen's."""

    def __init__(self, initrd, append):
        # pylint: disable=super-init-not-called
        linux = f"{BASE} console=hvc0 {ISOLATION} generation=1 {append}"
        # Xen's own messages are not among those of Linux.
        xen = "com2=115200 console=com2 loglvl=none guest_loglvl=none dom0_mem=512M"
        self.launch(XEN, "-cpu", "max", "-no-reboot", "-append", xen,
                    # Modules are separated by commas, so those in one are doubled.
                    "-initrd", f"{KERNEL} {linux}".replace(",", ",,") + f",{initrd}",
                    "-object", "ipi-defer,id=d0,isolated-cpus=2-3", memory="1G")


class Xen(GuestCase):
    def boot_xen(self, append):
        initrd = os.path.join(self.folder, "initrd")
        archive(initrd, ROOT)
        self.m = XenGuest(initrd, append)
        self.addCleanup(self.m.close)

    def expect_off(self, append):
        self.boot_xen(append)
        log = self.m.lines_of("dmesg")
        self.assertTrue(any("Booting kernel on Xen" in line or
                            "Hypervisor detected: Xen PV" in line
                            for line in log), log[:20])
        because = [line for line in log if "ipi_defer=off" in line
                   and "Command line" not in line and "command line" not in line]
        self.assertEqual(len(because), 1, because)
        self.assertIn("does not deliver typed vectors", because[0])
        self.m.run("toggle")
        # CPUs that go and come do what they did before.
        online = "/sys/devices/system/cpu/cpu1/online"
        self.m.run(f"[ ! -e {online} ] || {{ echo 0 >{online}; echo 1 >{online}; }}")
        self.m.run("toggle")

    def test_guest_mode(self):
        self.expect_off("ipi_defer=guest")

    def test_hv_mode(self):
        self.expect_off("ipi_defer=hv")

    def test_control(self):
        self.boot("ipi_defer=guest")
        before = self.m.work_stats("sync_core")
        self.m.run("toggle")
        after = self.m.work_stats("sync_core")
        self.assertGreater(after["suppressed"], before["suppressed"])


if __name__ == "__main__":
    if not_there := missing(IPIDEFER_XEN=XEN):
        print("skipped:", "; ".join(not_there))
        sys.exit(77)
    unittest.main()
