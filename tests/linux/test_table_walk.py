# SPDX-License-Identifier: GPL-2.0-or-later
"""No page table is freed under a walk that has no lock (I5, I8)."""
from collections import Counter

import pytest

from tests.support.oracle import CPU, TEST, ask, boot_oracle, spin

pytestmark = pytest.mark.ctest(timeout=900, processors=2)
TABLES = 1000
TIMES = 20
# While the vCPU is in userspace, these are freed at least, in so many attempts: it may
# seldom be there.
LEAST_OUTSIDE, ATTEMPTS = TABLES / 20, 5


def walks(boot, append, how, least_outside=0):
    """The kernel's counts of tables that were freed, and of walks meanwhile."""
    guest = boot_oracle(boot, f"{append} loops=")
    total = Counter()
    for _ in range(ATTEMPTS):
        seen = ask(guest, how, TABLES)
        assert seen["unlinked"] == TABLES
        assert seen["walks"] > TABLES / 10
        total.update(seen)
        if total["outside"] >= least_outside:
            break
    return total


def expect_whole(boot, append, skips):
    """No walk meets a table that was freed, on the way in and out of the kernel, and in
    NMIs on top of userspace."""
    seen = walks(boot, append, "walk", LEAST_OUTSIDE + 1 if skips else 0)
    assert seen["walked_freed"] == 0
    # Both are met: a CPU that may be left alone, and one that may not.
    if skips:
        assert LEAST_OUTSIDE < seen["outside"] < seen["unlinked"]
    else:
        assert seen["outside"] == 0
    seen = walks(boot, append, "walk_nmi")
    assert seen["walked_freed"] == 0
    # There is a walk under way each time, whatever the context says.
    assert seen["outside"] < TABLES / 20


@pytest.mark.machines("tcg-xapic", soak=["kvm-x2apic"])
class TestTableWalk:
    """No page table is freed under a walk that has no lock."""

    def test_off(self, boot):
        expect_whole(boot, "ipi_defer=off", skips=False)

    def test_guest(self, boot):
        expect_whole(boot, "ipi_defer=guest", skips=True)

    def test_hv(self, boot):
        expect_whole(boot, "ipi_defer=hv", skips=True)

    def test_mutant(self, boot):
        """With nobody interrupted, and with those left alone whose context says USER."""
        seen = walks(boot, "ipi_defer=guest ipi_defer_fault=call_nobody", "walk")
        assert seen["walked_freed"] > 0
        seen = walks(boot, "ipi_defer=guest ipi_defer_fault=trust_state", "walk_nmi")
        assert seen["walked_freed"] > 0


def calls(guest, command, times=TIMES):
    """Function calls that a vCPU in userspace takes for a command of the test file."""
    def taken():
        line = next(line for line in guest.lines_of("cat /proc/interrupts")
                    if line.split()[:1] == ["CAL:"])
        return int(line.split()[1 + CPU])

    before = taken()
    guest.run(f"for i in $(seq {times}); do echo {command} >{TEST} || "
              "echo WARNING: it failed; done")
    return taken() - before


def boot_spinning(boot, append):
    guest = boot_oracle(boot, append)
    spin(guest)
    # Large pages of the direct map are split once, which interrupts.
    calls(guest, "ro")
    calls(guest, "np")
    return guest


@pytest.mark.machines("tcg-xapic", soak=["kvm-x2apic"])
class TestLeftAlone:
    """A vCPU in userspace is not interrupted for what concerns the kernel's code alone,
    and is for what it might speculate into."""

    def test_off(self, boot):
        guest = boot_spinning(boot, "ipi_defer=off")
        for command in (f"unlink {CPU}", "ro", "np", "uc"):
            assert calls(guest, command) >= TIMES, command

    @pytest.mark.parametrize("mode", ["guest", "hv"])
    def test_mode(self, boot, mode):
        guest = boot_spinning(boot, f"ipi_defer={mode}")
        for command in (f"unlink {CPU}", "ro"):
            # The shell that spins there is in the kernel now and then.
            assert calls(guest, command) < TIMES / 2, command
        # Each is taken and given back: two flushes.
        for command in ("np", "uc"):
            assert calls(guest, command) >= 2 * TIMES, command

    def test_mutant(self, boot):
        """What that counts depends on the rule for pages that are taken away."""
        guest = boot_spinning(boot, "ipi_defer=guest ipi_defer_fault=defer_any_page")
        assert calls(guest, "np") < TIMES / 2
