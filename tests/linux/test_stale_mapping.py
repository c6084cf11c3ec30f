# SPDX-License-Identifier: GPL-2.0-or-later
"""What was mapped anew is seen, whichever way an isolated vCPU enters (I5)."""
import pytest

from tests.support.oracle import ROUNDS, ask, boot_oracle

pytestmark = pytest.mark.ctest(timeout=900, processors=2)
ENTRIES = ("syscall", "int80", "compat", "fault", "breakpoint", "iret",
           "interrupt", "nmi", "nmi+syscall")


def expect_fresh(boot, append, pending, entries=ENTRIES, **kwargs):
    guest = boot_oracle(boot, f"{append} loops=", **kwargs)
    for entry in entries:
        seen = ask(guest, entry, ROUNDS)
        # Both of nmi+syscall may find the check armed.
        assert seen["checked"] >= ROUNDS
        assert seen["stale"] == 0
        # Whatever is recorded once it is in the kernel would be late.
        assert seen["unclean"] == 0
        # The vCPU may not be back in userspace each time; and an
        # NMI on the way there may have it not accept until it is in
        # the kernel once more.
        if pending:
            least = 0.1 if entry == "nmi+syscall" else 0.9
            assert seen["pending"] > ROUNDS * least
        else:
            assert seen["pending"] == 0


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
        guest = boot_oracle(boot, "ipi_defer=hv ipi_defer_fault=drop_tlb_flush loops=")
        stale = {entry: ask(guest, entry, 200)["stale"] for entry in ENTRIES}
        # A signal's way back flushes QEMU's translations.
        del stale["breakpoint"], stale["iret"]
        for entry, count in stale.items():
            assert count > 0, f"{entry}: a lost flush is not seen"
