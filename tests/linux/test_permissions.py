# SPDX-License-Identifier: GPL-2.0-or-later
"""Of what a page's aliases were purged for, only permissions can wait."""
import re

import pytest

from tests.support.oracle import CPU, TEST, boot_oracle

pytestmark = [pytest.mark.nested, pytest.mark.ctest(timeout=900, processors=2)]
TIMES = 40
TRACING = "/sys/kernel/debug/tracing"


def aliases(guest, command):
    """The counts of aliases that were purged while a vCPU was in userspace.

    Its entries do not flush, so that what is left in its TLB shows.
    """
    before = counts(guest)
    for _ in range(TIMES):
        guest.run(f"echo {command} {CPU} >{TEST} || echo WARNING: it failed")
    after = counts(guest)
    return {name: after[name] - count for name, count in before.items()}


def counts(guest):
    words = " ".join(guest.lines_of(f"cat {TEST}")).split()
    return {name: int(count) for name, count in zip(words[::2], words[1::2])}


def expect_none_left(boot, append):
    """vm_unmap_aliases() finds those too that were purged before, for later."""
    guest = boot_oracle(boot, f"{append} ipi_defer_fault=drop_tlb_flush")
    # The control: those that may be left are left, and are seen.
    seen = aliases(guest, "alias_left")
    assert seen["aliases"] == TIMES
    assert seen["aliases_pending"] > 0
    assert seen["aliases_stale"] > 0
    seen = aliases(guest, "alias")
    assert seen["aliases"] == TIMES
    assert seen["aliases_pending"] > 0
    assert seen["aliases_stale"] == 0


def called(guest, change):
    """Which of the two a change of pages has called, by the function tracer."""
    guest.run(f"echo >{TRACING}/trace; sh -c 'echo $$ >{TRACING}/set_ftrace_pid; "
              f"echo 1 >{TRACING}/tracing_on; echo {change} >{TEST}; "
              f"echo 0 >{TRACING}/tracing_on'")
    return {found[1] for line in guest.lines_of(f"cat {TRACING}/trace")
            if (found := re.search(r": (vm_unmap_aliases\w*) <-", line))}


class TestPermissions:
    """Of what a page's aliases were purged for, only permissions can wait."""

    def test_guest(self, boot):
        expect_none_left(boot, "ipi_defer=guest")

    def test_hv(self, boot):
        expect_none_left(boot, "ipi_defer=hv")

    def test_who_may_wait(self, boot):
        guest = boot_oracle(boot, "ipi_defer=guest")
        for name, value in (("tracing_on", 0),
                            ("set_ftrace_filter", "vm_unmap_aliases*"),
                            ("current_tracer", "function")):
            guest.run(f"echo '{value}' >{TRACING}/{name}")
        assert called(guest, "ro") == {"vm_unmap_aliases_deferrable"}
        # A page that is poisoned is not to be speculated into.
        assert called(guest, "np") == {"vm_unmap_aliases"}
