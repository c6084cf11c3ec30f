# SPDX-License-Identifier: GPL-2.0-or-later
"""Work was done before code that was changed in the meantime (I5)."""
import pytest

from tests.support.oracle import CPU, ROUNDS, TEST, ask, boot_oracle, spin
from tests.support.serialized import Watch

pytestmark = pytest.mark.ctest(timeout=900, processors=2)
WATCHED = 50
# The ways in, beside a system call; a call is waited for.
COMMANDS = {"nmi": f"echo nmi {CPU} >{TEST}; echo ipi {CPU} >{TEST}",
            "interrupt": f"echo ipi {CPU} >{TEST}"}


def unsynced(boot, append, rounds):
    """@return changes that were not accounted for"""
    guest = boot_oracle(boot, f"{append} loops=")
    seen = ask(guest, "text", rounds)
    assert seen["probed"] == rounds
    return seen["unsynced"]


@pytest.mark.machines(long=["tcg-xapic", "kvm-x2apic"],
                      soak=["kvm-xapic", "kvm-split-xapic", "kvm-split-x2apic"])
class TestChangedText:
    """Work was accounted for before code that was changed in the meantime.

    That is the protocol. That the vCPU has synchronised is for Serialized to see:
    QEMU's text is coherent whatever the guest does.
    """

    def test_guest(self, boot):
        assert unsynced(boot, "ipi_defer=guest", ROUNDS // 5) == 0

    def test_hv(self, boot):
        assert unsynced(boot, "ipi_defer=hv", ROUNDS // 5) == 0

    def test_mutant(self, boot):
        lost = unsynced(boot, "ipi_defer=hv ipi_defer_fault=drop_flush", 20)
        assert lost > 0, "lost work is not seen"


def start(boot, watch, append):
    guest = boot_oracle(boot, append, more=watch.args)
    watch.start(guest)
    return guest


def expect_all(boot, watch, append):
    """Of text that a system call, an interrupt or an NMI runs."""
    guest = start(boot, watch, f"{append} loops=")
    seen = ask(guest, "text", WATCHED)
    assert seen["unsynced"] == 0
    assert watch.probes(CPU) == [True] * WATCHED
    # For these, something has to be in userspace there.
    spin(guest)
    for name, command in COMMANDS.items():
        before = guest.work_stats("sync_core")
        watch.probes(CPU)
        for _ in range(WATCHED):
            guest.run(f"echo poke {CPU} >{TEST}; {command}")
            # A function call that comes second finds nothing to check.
            assert watch.probes(CPU)[:1] == [True]
        after = guest.work_stats("sync_core")
        assert after["suppressed"] > before["suppressed"]


@pytest.mark.nested
class TestSerialized:
    """A serializing instruction came before code that was changed in the meantime."""

    @pytest.fixture
    def watch(self, tmp_path, kernel):
        return Watch(tmp_path, kernel)

    def test_guest(self, boot, watch):
        expect_all(boot, watch, "ipi_defer=guest")

    def test_hv(self, boot, watch):
        expect_all(boot, watch, "ipi_defer=hv")

    def test_mutant(self, boot, watch):
        """All that the kernel accounts for is in order, but nothing was executed."""
        guest = start(boot, watch, "ipi_defer=hv ipi_defer_fault=skip_sync loops=")
        seen = ask(guest, "text", WATCHED)
        assert seen["unsynced"] == 0
        probes = watch.probes(CPU)
        assert len(probes) == WATCHED
        assert True not in probes
