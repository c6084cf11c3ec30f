# SPDX-License-Identifier: GPL-2.0-or-later
"""Text that was sealed is not written to, and what was freed not executed (I5).

Whichever way an isolated vCPU enters, with what was left to its entry.
"""
import pytest

from tests.support.oracle import ROUNDS, expect_fresh, expect_stale

pytestmark = pytest.mark.ctest(timeout=1200, processors=2)
# A change has its permissions changed, on two pages and their aliases.
FEWER = ROUNDS // 5


class Text:
    """@cvar change: what the kernel's test file does, and the entry looks at"""
    change = ""

    def expect(self, boot, append, pending=True):
        expect_fresh(boot, append, pending, change=self.change, rounds=FEWER)

    def test_off(self, boot):
        self.expect(boot, "ipi_defer=off", pending=False)

    def test_guest(self, boot):
        self.expect(boot, "ipi_defer=guest")

    def test_hv(self, boot):
        self.expect(boot, "ipi_defer=hv")

    def test_hv_pti(self, boot):
        self.expect(boot, "ipi_defer=hv pti=on")

    @pytest.mark.only("tcg-*")
    def test_mutant(self, boot):
        expect_stale(boot, self.change)


@pytest.mark.machines("tcg-xapic", soak=["kvm-x2apic"])
class TestSealedText(Text):
    """Text that became read-only is not written to through a stale entry: neither at its
    address, nor at that of its page in the direct map."""
    change = "seal"


@pytest.mark.machines("tcg-xapic", soak=["kvm-x2apic"])
class TestFreedText(Text):
    """The page of text that was freed, and holds data, is not executed: other text is at
    its address now."""
    change = "reuse"
