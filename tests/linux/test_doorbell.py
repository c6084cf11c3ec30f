# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest whose hypervisor does not see the ICR rings the doorbell.

Under TCG with the ICR hidden (icr=off), and under KVM where that boots Linux. The
guest counts what it asked for, the VMM what became of it and how often it was
asked: all must agree. With a guest that does not ring they must not.
"""
import re
import time

import pytest

from tests.support.linux_guest import ISOLATED

pytestmark = pytest.mark.ctest(timeout=900, processors=2)
DIRECTORY = "/sys/kernel/debug/x86/ipi_defer"
VECTORS = {"sync_core": 0xf5, "kernel_tlbi": 0xea}
CPUS = range(4)
# On a host that has other things to do.
ATTEMPTS = 10


def guest_counts(guest):
    """{(cpu, work): (requested, delivered)}, {work: requests}."""
    counts, requests = {}, {}
    for line in guest.lines_of(f"cat {DIRECTORY}/stats"):
        found = re.fullmatch(r"(\d+) (\w+) (\d+) (-?\d+) (\d+) (\d+) (\d+) "
                             r"(\d+) (0x)?[0-9a-f]+", line.strip())
        if found:
            cpu, work = int(found[1]), found[2]
            counts[cpu, work] = int(found[3]), int(found[5])
            requests[work] = int(found[8])
    assert counts
    return counts, requests


def vmm_counts(guest):
    """{(cpu, work): {verdict: n}}, writes to the doorbell."""
    writes = guest.qmp("query-ipi-defer")["doorbell-writes"]
    return {(cpu, work): guest.counters(cpu, vector)
            for cpu in CPUS for work, vector in VECTORS.items()}, writes


def both_counts(guest):
    """Both sides, at a moment at which nothing is asked for."""
    deadline = time.monotonic() + 60
    while True:
        before = guest_counts(guest)
        vmm = vmm_counts(guest)
        if guest_counts(guest) == before:
            return before, vmm
        assert time.monotonic() < deadline, "never quiet"


def resent(guest):
    """How many IPIs the guest sent once more, to whom nothing had come in 100 ms."""
    return int(guest.lines_of(f"cat {DIRECTORY}/resent")[-1])


def counted_meanwhile(guest, command, counts=both_counts):
    """Run a command on a host that lets all vCPUs run meanwhile.

    What is sent once more, to housekeeping vCPUs too, is asked of the VMM: counts of
    requests say nothing of it. That is the host's doing, and no verdict.

    @return counts(guest) before and after
    """
    for _ in range(ATTEMPTS):
        sent_again, before = resent(guest), counts(guest)
        guest.run(command)
        after = counts(guest)
        if resent(guest) == sent_again:
            return before, after
    pytest.fail(f"in {ATTEMPTS} attempts some vCPU did not run for 100 ms")


def compare(guest, command):
    """Run a command; both sides must have counted the same meanwhile.

    @return requests; verdicts that suppressed, for isolated vCPUs
    """
    ((counts, requests), (verdicts, writes)), ((counts2, requests2), (verdicts2, writes2)) = (
        counted_meanwhile(guest, command))
    suppressed = 0
    for key in counts:
        new = {v: n - verdicts[key].get(v, 0)
               for v, n in verdicts2[key].items()}
        requested, delivered = (counts2[key][i] - counts[key][i]
                                for i in range(2))
        if key[0] >= 2:
            assert sum(new.values()) == requested, f"{key}: {new}"
            suppressed += (new.get("deferred", 0) +
                           new.get("coalesced", 0))
        else:
            # It can never accept: the VMM is not asked to interrupt it.
            assert sum(new.values()) == 0, f"{key}: {new}"
            assert delivered == requested, f"{key}"
    asked = sum(requests2[w] - requests[w] for w in requests)
    # Each request has an isolated vCPU among its targets, or more, for one write.
    assert writes2 - writes == asked, "writes for requests"
    return asked, suppressed


def injected(guest):
    """{vCPU: interrupts that QEMU had KVM inject}, of typed vectors."""
    found = re.findall(r"ipi_defer_msi CPU (\d+):", guest.output())
    return {cpu: found.count(str(cpu)) for cpu in CPUS}


@pytest.mark.machines("kvm-x2apic",
                      long=["doorbell"],
                      soak=["kvm-xapic", "kvm-split-xapic", "kvm-split-x2apic"])
class TestDoorbell:
    def test_guest_and_vmm_agree(self, boot):
        guest = boot("ipi_defer=hv")
        assert guest.lines_of(f"cat {DIRECTORY}/way") == ["doorbell-multi"]
        assert any("by doorbell-multi" in line
                   for line in guest.lines_of("dmesg | grep ipi_defer"))
        asked, suppressed = compare(guest, "toggle; toggle")
        assert asked > 10
        assert suppressed > asked

    def test_cpu_that_went_offline_and_came_back(self, boot):
        guest = boot("ipi_defer=hv")
        online = "/sys/devices/system/cpu/cpu1/online"
        guest.run(f"echo 0 >{online}")
        assert not guest.defer(1)["registered"]
        guest.run(f"echo 1 >{online}")
        assert guest.defer(1)["registered"]
        asked, suppressed = compare(guest, "toggle")
        assert suppressed > asked

    def test_switched_off_it_interrupts(self, boot):
        guest = boot("ipi_defer=hv")
        guest.set("enabled", False)
        asked, suppressed = compare(guest, "toggle")
        assert asked > 5
        assert suppressed == 0

    @pytest.mark.only("kvm-*")
    @pytest.mark.without("*-decided")
    def test_only_those_that_may_accept_are_injected(self, boot):
        guest = boot("ipi_defer=hv", more=("-trace", "ipi_defer_msi"))
        # Then nothing is recorded, and all that is rung for is injected.
        guest.set("enabled", False)
        ((_, (verdicts, _)), before), ((_, (verdicts2, _)), after) = counted_meanwhile(
            guest, "toggle", lambda guest: (both_counts(guest), injected(guest)))
        for cpu in CPUS:
            decided = sum(sum(verdicts2[cpu, work].values()) -
                          sum(verdicts[cpu, work].values()) for work in VECTORS)
            assert after[cpu] - before[cpu] == decided, f"vCPU {cpu}"
            if cpu in ISOLATED:
                assert decided > 5
            else:
                assert decided == 0


@pytest.mark.nested
@pytest.mark.long
class TestDoorbellBesideTheIcr:
    """What depends on an ICR that can be seen."""

    def test_icr_is_preferred(self, boot):
        guest = boot("ipi_defer=hv", defer=",doorbell=on")
        assert guest.lines_of(f"cat {DIRECTORY}/way") == ["icr"]
        guest.run("toggle")
        info = guest.qmp("query-ipi-defer")
        assert info["doorbell-writes"] == 0
        assert sum(guest.counters(2, 0xf5).values()) > 5


@pytest.mark.machines(long=["doorbell"], soak=["kvm-x2apic"])
class TestDoorbellControl:
    """A guest that does not ring is found out."""

    def test_guest_that_records_by_itself_is_not_counted(self, boot):
        guest = boot("ipi_defer=guest")
        with pytest.raises(AssertionError, match="sync_core|kernel_tlbi"):
            compare(guest, "toggle")
