# SPDX-License-Identifier: GPL-2.0-or-later
"""Idle CPUs have sync_core deferred if they are asked to, and not else."""
import pytest

from tests.support.oracle import CPU, SYNC_CORE, boot_oracle

pytestmark = pytest.mark.ctest(timeout=900, processors=2)


def requests_to_idle(boot, append):
    """@return the guest, requests, suppressed ones, of an idle isolated vCPU"""
    guest = boot_oracle(boot, f"{append} loops=")
    guest.run("sleep 1")
    before = guest.work_stats("sync_core")
    guest.run("toggle")
    after = guest.work_stats("sync_core")
    # It wakes up, and all is done.
    guest.run(f"taskset -c {CPU} true")
    done = guest.work_stats("sync_core")
    assert done["done"] >= after["seq"]
    return guest, *(after[name] - before[name]
                    for name in ("requested", "suppressed"))


@pytest.mark.machines(long=["tcg-xapic"], soak=["kvm-x2apic"])
class TestIdle:
    """Idle CPUs have sync_core deferred if they are asked to, and not else."""

    def test_guest(self, boot):
        _, requested, suppressed = requests_to_idle(
            boot, "ipi_defer=guest ipi_defer_idle")
        assert requested > 0
        assert suppressed > requested * 0.9

    def test_guest_without(self, boot):
        _, requested, suppressed = requests_to_idle(boot, "ipi_defer=guest")
        assert requested > 0
        assert suppressed == 0

    def test_hv(self, boot):
        """By the object's policy: off by default."""
        guest, requested, suppressed = requests_to_idle(
            boot, "ipi_defer=hv ipi_defer_idle")
        assert requested > 0
        assert suppressed == 0
        counters = guest.counters(CPU, SYNC_CORE)
        assert counters["delivered-policy"] > 0

        guest.set("idle", True)
        before = guest.work_stats("sync_core")
        guest.run("toggle")
        after = guest.work_stats("sync_core")
        assert after["suppressed"] > before["suppressed"]
