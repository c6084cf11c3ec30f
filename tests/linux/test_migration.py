# SPDX-License-Identifier: GPL-2.0-or-later
"""A patched guest that goes elsewhere takes its registrations and its work along."""
import pytest

from tests.support.configurations import KVM_DECIDES, QEMU_DECIDES
from tests.support.linux_guest import ISOLATED, Guest
from tests.support.machine import Machine
from tests.support.migration import make_disk, snapshot
from tests.support.oracle import SYNC_CORE

pytestmark = [pytest.mark.ctest(timeout=900, processors=2),
              pytest.mark.machines(long=["tcg-xapic", "kvm-x2apic"],
                                   soak=["kvm-xapic", "kvm-split-xapic", "kvm-split-x2apic"])]

ATTEMPTS = 10


class Incoming(Guest):
    """A guest that is to come from elsewhere."""

    def started(self):
        pass


def accepting(guest):
    """{vCPU: the word of its sync_core}, of those that are in userspace"""
    return {cpu["cpu-index"]: binding["word"]
            for cpu in guest.qmp("query-ipi-defer")["cpus"]
            for binding in cpu["bindings"]
            if binding["vector"] == SYNC_CORE and
            binding["word"] & binding["accept-mask"] == binding["accept-value"]}


def unfinished(guest):
    """{isolated vCPU: whether a change of text waits for it}"""
    stats = {cpu: guest.work_stats("sync_core", cpu) for cpu in ISOLATED}
    return {cpu: row["done"] < row["seq"] for cpu, row in stats.items()}


def leave_work(boot, *more, append=""):
    """@return a guest whose isolated vCPUs have not entered the kernel since its text was
    changed"""
    guest = boot(f"ipi_defer=hv {append}", more=more)
    change_text(guest)
    return guest


def change_text(guest):
    """Until a change waits for each isolated vCPU: what else interrupts one, right after a
    change, has it do what waits, as it should."""
    for _ in range(ATTEMPTS):
        guest.run("toggle")
        if all(unfinished(guest).values()):
            break
    expect_work(guest)


def expect_work(guest):
    assert unfinished(guest) == dict.fromkeys(ISOLATED, True)
    assert sorted(accepting(guest)) == sorted(ISOLATED)


def expect_done_on_entry(guest):
    """What waits is done, at once for all requests."""
    before = {cpu: guest.work_stats("sync_core", cpu) for cpu in ISOLATED}
    for cpu in ISOLATED:
        guest.run(f"taskset -c {cpu} true")
    for cpu in ISOLATED:
        after = guest.work_stats("sync_core", cpu)
        assert after["done"] >= before[cpu]["seq"]
        assert after["flushed"] == before[cpu]["flushed"] + 1


def busy(boot):
    """@return a guest whose text is being changed all the time"""
    guest = leave_work(boot)
    guest.run("(while [ ! -e /stop ]; do toggle; done; echo >/stopped) &")
    return guest


def moved(boot, guest, socket, **kwargs):
    """@return the same guest under another QEMU"""
    target = boot("ipi_defer=hv", cls=Incoming, more=("-incoming", f"unix:{socket}"),
                  **kwargs)
    guest.qmp("migrate", uri=f"unix:{socket}")
    guest.wait_migrated()
    target.wait_migrated()
    guest.close()
    return target


def expect_all_well(guest):
    """It did not wait in vain, and what was recorded elsewhere is done here."""
    guest.run("touch /stop; while [ ! -e /stopped ]; do sleep 1; done")
    change_text(guest)
    expect_done_on_entry(guest)
    change_text(guest)


class TestGuestGoesElsewhere:
    def test_to_another_qemu(self, boot, tmp_path):
        """While its text is being changed."""
        expect_all_well(moved(boot, busy(boot), tmp_path / "migration"))

    @pytest.mark.only("*-decided")
    def test_to_a_host_that_does_not_decide_and_back(self, boot, tmp_path):
        """The guest cannot tell who decides, QEMU or the host's KVM."""
        guest = busy(boot)
        for properties, decides in (QEMU_DECIDES, False), (KVM_DECIDES, True):
            guest = moved(boot, guest, tmp_path / f"migration{decides}", defer=properties)
            assert guest.qmp("query-ipi-defer")["in-kernel"] is decides
            before = sum(guest.counters(2, SYNC_CORE).values())
            guest.run("sleep 1")
            assert sum(guest.counters(2, SYNC_CORE).values()) > before
        expect_all_well(guest)

    def test_into_a_file_and_back(self, boot, qemu, tmp_path):
        """What waited when the snapshot was taken waits again."""
        disk = make_disk(lambda: Machine(qemu, None, machine="none", cpus="1", accel="tcg"),
                         tmp_path / "disk")
        guest = leave_work(boot, *disk)
        # Stopped, as a clock that goes back may interrupt a vCPU at once.
        guest.qmp("stop")
        waiting = accepting(guest)
        assert sorted(waiting) == sorted(ISOLATED)
        assert snapshot(guest, "save") == ""
        guest.qmp("cont")
        expect_done_on_entry(guest)
        guest.qmp("stop")
        assert accepting(guest) != waiting
        assert snapshot(guest, "load") == ""
        assert accepting(guest) == waiting
        guest.qmp("cont")
        for cpu in ISOLATED:
            guest.run(f"taskset -c {cpu} true")
        assert unfinished(guest) == dict.fromkeys(ISOLATED, False)
        change_text(guest)

    def test_that_loses_its_work(self, boot):
        """The control: work that is dropped on entry is missed."""
        guest = leave_work(boot, append="ipi_defer_fault=drop_flush")
        with pytest.raises(AssertionError):
            expect_done_on_entry(guest)
