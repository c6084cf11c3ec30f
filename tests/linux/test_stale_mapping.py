# SPDX-License-Identifier: GPL-2.0-or-later
"""What was mapped anew is seen, whichever way an isolated vCPU enters (I5)."""
import pytest

from tests.support.oracle import expect_fresh, expect_stale

pytestmark = pytest.mark.ctest(timeout=900, processors=2)


@pytest.mark.machines("tcg-xapic", soak=["kvm-x2apic", "kvm-split-xapic"])
class TestStaleMapping:
    """What was mapped anew is seen, whichever way the vCPU enters.

    Under plain TCG, where the mutant shows that a lost flush would be seen. The box's
    processors forget their translations at each VM exit, so what is seen there is that
    work is recorded, pending and done at the right time.
    """

    def test_off(self, boot):
        expect_fresh(boot, "ipi_defer=off", pending=False)

    def test_guest(self, boot):
        expect_fresh(boot, "ipi_defer=guest", pending=True)

    def test_hv(self, boot):
        expect_fresh(boot, "ipi_defer=hv", pending=True)

    @pytest.mark.only("tcg-*")
    def test_hv_sysenter(self, boot):
        """A 32-bit process uses SYSENTER on Intel's CPUs, SYSCALL on AMD's."""
        expect_fresh(boot, "ipi_defer=hv", pending=True, entries=("compat",),
                     cpu="max,vendor=GenuineIntel")

    def test_hv_pti(self, boot):
        """With two sets of page tables, and entries that are not global."""
        expect_fresh(boot, "ipi_defer=hv pti=on", pending=True)

    @pytest.mark.only("tcg-*")
    def test_mutant(self, boot):
        expect_stale(boot)
