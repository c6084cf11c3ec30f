# SPDX-License-Identifier: GPL-2.0-or-later
"""What a typed IPI costs in exits, as the host's KVM counts them.

Counts only: one exit to QEMU for the sender, whatever the number of targets, or none
where KVM decides; and none for the target but those that the host has for itself, such
as its tick.
"""
import pytest

from tests.support.kvm_exits import EXIT_WRMSR, counted, host_interrupts
from tests.support.linux_guest import ISOLATED
from tests.support.oracle import TEST

pytestmark = [pytest.mark.ctest(timeout=900, processors=2),
              pytest.mark.machines(
                  "kvm-x2apic", soak=["kvm-xapic", "kvm-split-x2apic", "kvm-split-xapic"])]
REQUESTS = 200
# Of exits that come and go with the host's timers.
SLACK = 10


def cost_of(guest, requests, configuration):
    """@return while the guest asks for work so many times: the sender's exits to QEMU for
    an MSR, beyond those for its rings of the doorbell; and of each isolated vCPU the exits that are
    not for what the host interrupted its CPU with, KVM's kicks aside"""
    of = guest.threads()
    rung = guest.qmp("query-ipi-defer")["doorbell-writes"]
    with counted() as exits:
        before = {cpu: host_interrupts(cpu) for cpu in ISOLATED}
        guest.run(f"taskset -c 0 sh -c 'echo request sync_core {requests} >{TEST}'")
        to_qemu = exits.of("kvm_userspace_exit", of[0]).get(EXIT_WRMSR, 0)
        isolated = {}
        for cpu in ISOLATED:
            by = exits.of("kvm_exit", of[cpu])
            isolated[cpu] = sum(by.values()) - (host_interrupts(cpu) - before[cpu])
    rung = guest.qmp("query-ipi-defer")["doorbell-writes"] - rung
    assert rung >= requests
    return to_qemu - (0 if configuration.decided else rung), isolated


class TestExits:
    def test_deferred(self, guest_alone, configuration):
        """A command costs the vCPUs some exits, as KVM looks to interrupt routes when the
        console interrupts; two hundred requests cost no more than one does."""
        assert cost_of(guest_alone, 1, configuration)[0] == 0
        _, one = cost_of(guest_alone, 1, configuration)
        more, many = cost_of(guest_alone, REQUESTS, configuration)
        assert more == 0
        for cpu in ISOLATED:
            assert many[cpu] <= one[cpu] + SLACK, (one, many)

    def test_delivered(self, guest_alone, configuration):
        """The control: what is not deferred costs each target an exit or more."""
        guest_alone.set("enabled", False)
        more, isolated = cost_of(guest_alone, REQUESTS, configuration)
        assert more == 0
        assert all(count >= REQUESTS for count in isolated.values()), isolated
