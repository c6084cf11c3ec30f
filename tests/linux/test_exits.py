# SPDX-License-Identifier: GPL-2.0-or-later
"""What a typed IPI costs in exits, as the host's KVM counts them.

Counts only: one exit to QEMU for the sender, whatever the number of targets, and none
for the target.
"""
import pytest

from tests.support.kvm_exits import EXIT_WRMSR, alone, counted, threads
from tests.support.linux_guest import ISOLATED
from tests.support.oracle import TEST

pytestmark = [pytest.mark.ctest(timeout=900, processors=2),
              pytest.mark.machines("kvm-x2apic", long=["kvm-xapic", "kvm-split-x2apic"],
                                   soak=["kvm-split-xapic"])]
REQUESTS = 200


@pytest.fixture
def guest(boot):
    guest = boot("ipi_defer=hv ipi_defer_test")
    alone(guest, ISOLATED)
    guest.run("toggle; sleep 1")
    return guest


def request(guest):
    """@return exits while the guest asks for work so many times: the sender's to QEMU for an
    MSR; each isolated vCPU's by reason"""
    of = threads(guest)
    with counted() as exits:
        guest.run(f"taskset -c 0 sh -c 'echo request sync_core {REQUESTS} >{TEST}'")
        to_qemu = exits.of("kvm_userspace_exit", of[0]).get(EXIT_WRMSR, 0)
        isolated = {cpu: exits.of("kvm_exit", of[cpu]) for cpu in ISOLATED}
    return to_qemu, isolated


class TestExits:
    def test_deferred(self, guest):
        before = guest.qmp("query-ipi-defer")["doorbell-writes"]
        to_qemu, isolated = request(guest)
        assert guest.qmp("query-ipi-defer")["doorbell-writes"] - before == REQUESTS
        assert to_qemu == REQUESTS
        assert isolated == {cpu: {} for cpu in ISOLATED}

    def test_delivered(self, guest):
        """The control: what is not deferred costs each target an exit or more."""
        guest.set("enabled", False)
        to_qemu, isolated = request(guest)
        assert to_qemu == REQUESTS
        assert all(sum(by.values()) >= REQUESTS for by in isolated.values()), isolated
