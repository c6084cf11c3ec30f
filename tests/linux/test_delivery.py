# SPDX-License-Identifier: GPL-2.0-or-later
"""A typed IPI that its way swallows is sent again, and the way given up (I4).

An APIC driver or a hypervisor that ignores what it does not know is a fault of the
kernel's here (ipi_defer_fault=swallow_...): what has been written reaches nobody. The
kernel must find out at boot, or by itself later; must not take a vCPU for one that
does not run, or has interrupts off, for a doorbell that is gone; and must not log a
warning where there is nothing to warn of.
"""
import re

import pytest

from tests.support.linux_guest import ISOLATED

pytestmark = [pytest.mark.nested, pytest.mark.ctest(timeout=900, processors=2)]
DIRECTORY = "/sys/kernel/debug/x86/ipi_defer"
TEST = f"{DIRECTORY}/test"
TRACING = "/sys/kernel/debug/tracing"
DOORBELL = ",doorbell=on,icr=off"
# The kernel's levels: 4 is a warning, and less is worse.
WARNING = 4
# From the command line: to switch it on later would be a change of text, too.
TRACED = "trace_event=ipi:ipi_send_cpumask"


def log(guest, level=7):
    """What the kernel has said of deferral with this level or worse."""
    lines = []
    for line in guest.lines_of("dmesg -r"):
        found = re.match(r"<(\d+)>\[[^]]*\] ipi_defer: (.*)", line)
        if found and int(found[1]) % 8 <= level:
            lines.append(found[2])
    return lines


def of_the_doorbell(guest):
    """Warnings that the hypervisor did this or that to the doorbell. A guest
    whose host is busy may rightly have other ones."""
    return [line for line in log(guest, WARNING)
            if line.startswith("the hypervisor ")]


def read(guest, name):
    [line] = guest.lines_of(f"cat {DIRECTORY}/{name}")
    return line


def mode_of(guest):
    [line] = [line for line in guest.lines_of(f"cat {DIRECTORY}/stats")
              if line.startswith("mode ")]
    return line.split()[1]


def resent(guest):
    return int(read(guest, "resent"))


def request(guest, work="sync_core", times=1):
    """From a housekeeping vCPU, which waits until all have answered."""
    guest.run(f"taskset -c 0 sh -c 'echo request {work} {times} >{TEST}'")


def expect_off(boot, append, reason, **kwargs):
    guest = boot(append, **kwargs)
    assert mode_of(guest) == "off"
    because = [line for line in log(guest) if "ipi_defer=off" in line]
    assert len(because) == 1, because
    assert reason in because[0]
    # Text can be changed, and nobody is waited for.
    guest.run("toggle")
    assert resent(guest) == 0


class TestSwallowed:
    """What is swallowed from the start is found at boot: the guest is in off."""

    def test_apic_driver_in_guest_mode(self, boot):
        expect_off(boot, "ipi_defer=guest ipi_defer_fault=swallow_ipi",
                   "does not deliver typed vectors")

    def test_apic_driver_in_hv_mode(self, boot):
        expect_off(boot, "ipi_defer=hv ipi_defer_fault=swallow_ipi",
                   "does not deliver typed vectors")

    def test_registration(self, boot):
        expect_off(boot, "ipi_defer=hv ipi_defer_fault=swallow_msrs",
                   "does not do what it offers")

    def test_registration_and_doorbell(self, boot):
        expect_off(boot, "ipi_defer=hv ipi_defer_fault=swallow_msrs",
                   "does not do what it offers", defer=DOORBELL)


def sends(guest):
    """The sets of CPUs that sync_core was sent to since the last look."""
    masks = [int(found[1].replace(",", ""), 16)
             for line in guest.lines_of(f"cat {TRACING}/trace")
             if (found := re.search(r"cpumask=(\S+) .*"
                                    r"sysvec_ipi_defer_sync_core", line))]
    guest.run(f"echo >{TRACING}/trace")
    return [{cpu for cpu in range(4) if mask >> cpu & 1} for mask in masks]


class TestLostLater:
    """What is swallowed later is found by a request that nobody answers."""

    def test_doorbell_that_falls_silent(self, boot):
        """One request pays for it, for all its targets at once, and no other."""
        guest = boot(f"ipi_defer=hv ipi_defer_test {TRACED} "
                     "ipi_defer_fault=swallow_doorbell", defer=DOORBELL)
        assert read(guest, "way") == "doorbell-multi"
        # While it booted, some may have been late on a busy host.
        before = resent(guest)
        sends(guest)
        request(guest)
        rung, again = sends(guest)
        # Others may be late as well, if the host does not run them.
        assert set(ISOLATED) <= rung
        assert set(ISOLATED) <= again
        assert read(guest, "way") == "none"
        assert resent(guest) - before == len(again)
        # If it were still rung for, each request would be late, on any host.
        for _ in range(20):
            request(guest)
            if len(sent := sends(guest)) == 1:
                break
        assert len(sent) == 1, sent
        before = guest.work_stats("sync_core")
        request(guest, times=20)
        guest.run("toggle")
        after = guest.work_stats("sync_core")
        assert after["done"] == after["seq"]
        assert after["delivered"] - before["delivered"] >= 20
        assert of_the_doorbell(guest) == [
            "the hypervisor ignores the doorbell, interrupting from now on"]

    def test_each_request_has_its_verdict(self, boot):
        """The sender's trial whether the doorbell is answered, too."""
        guest = boot("ipi_defer=hv ipi_defer_test ipi_defer_fault=swallow_doorbell "
                     "trace_event=ipi_defer:ipi_defer_request,ipi_defer:ipi_defer_verdict",
                     defer=DOORBELL)
        guest.run(f"echo >{TRACING}/trace")
        request(guest)
        waiting, lost = set(), []
        for line in guest.lines_of(f"cat {TRACING}/trace"):
            found = re.search(r" ipi_defer_(\w+): (target=\d+ work=\w+ seq=(\d+))"
                              r"(?: verdict=(\w+))?", line)
            if not found:
                continue
            if found[1] == "request":
                waiting.add(found[2])
                continue
            assert found[2] in waiting
            waiting.discard(found[2])
            lost += [found[3]] if found[4] == "lost" else []
        assert waiting == set()
        # A trial is no request of anybody's.
        assert lost == ["0"]

    def test_interrupts_that_are_lost(self, boot):
        """Whatever the way: sent again to all that have not answered, at once."""
        guest = boot(f"ipi_defer=guest ipi_defer_test {TRACED} "
                     "ipi_defer_fault=drop_ipi")
        before = resent(guest)
        sends(guest)
        request(guest)
        # The others have not accepted: they are in the kernel, or not isolated.
        # Once to all of them, in vain, and once more to all of them.
        sent = sends(guest)
        assert len(sent) == 2, sent
        assert sent[0] == sent[1]
        assert resent(guest) - before == len(sent[1])
        assert [line for line in log(guest) if "not answered" in line] == []

    def test_interrupts_that_are_lost_twice(self, boot):
        """The second loss costs no more than the first."""
        guest = boot(f"ipi_defer=guest ipi_defer_test {TRACED} "
                     "ipi_defer_fault=drop_ipi ipi_defer_fault=drop_again")
        took = []
        # Every other one is lost that is sent again, so it is for one of two requests
        # at least that the first is.
        for _ in range(2):
            sends(guest)
            request(guest)
            times = [float(found[1]) for line in guest.lines_of(f"cat {TRACING}/trace")
                     if (found := re.search(r" ([0-9.]+): ipi_send_cpumask: .*"
                                            r"sysvec_ipi_defer_sync_core", line))]
            took += [times[2] - times[0]] if len(times) > 2 else []
        assert len(took) >= 1
        # It used to be 10 s.
        assert max(took) < 5
        assert [line for line in log(guest) if "not answered" in line] == []


def starve(boot, append, way, **kwargs):
    guest = boot(f"{append} ipi_defer_test", **kwargs)
    assert read(guest, "way") == way
    guest.run(f"taskset -c 0 sh -c 'echo deaf {ISOLATED[0]} 800 >{TEST}; "
              f"echo request sync_core 1 >{TEST}'")
    assert resent(guest) >= 1
    assert read(guest, "way") == way
    assert of_the_doorbell(guest) == []
    stats = guest.work_stats("sync_core")
    assert stats["done"] == stats["seq"]


@pytest.mark.long
class TestStarved:
    """A target that does not answer for long is no reason to give up anything."""

    def test_doorbell(self, boot):
        starve(boot, "ipi_defer=hv", "doorbell-multi", defer=DOORBELL)

    def test_icr(self, boot):
        starve(boot, "ipi_defer=hv", "icr")

    def test_doorbell_given_up_early(self, boot):
        """The control: a kernel that does not ask first gives it up."""
        with pytest.raises(AssertionError, match="'none' == 'doorbell-multi'"):
            starve(boot, "ipi_defer=hv ipi_defer_fault=hasty", "doorbell-multi",
                   defer=DOORBELL)


def expect_quiet(boot, append, mode, **kwargs):
    guest = boot(append, **kwargs)
    assert mode_of(guest) == mode
    guest.run("toggle")
    guest.run("echo 0 >/sys/devices/system/cpu/cpu1/online")
    guest.run("echo 1 >/sys/devices/system/cpu/cpu1/online")
    assert log(guest, WARNING) == []


@pytest.mark.long
class TestQuiet:
    """Nothing to warn of: no warning, in any mode and way."""

    def test_off(self, boot):
        expect_quiet(boot, "", "off")

    def test_guest(self, boot):
        expect_quiet(boot, "ipi_defer=guest", "guest")

    def test_hv(self, boot):
        expect_quiet(boot, "ipi_defer=hv", "hv")

    def test_hv_by_doorbell(self, boot):
        expect_quiet(boot, "ipi_defer=hv", "hv", defer=DOORBELL)

    def test_hv_without_a_hypervisor_that_offers_it(self, boot):
        expect_quiet(boot, "ipi_defer=hv", "off", defer=None)


class TestStatistics:
    """Senders share no counters unless that is asked for."""

    def test_not_counted(self, boot):
        guest = boot("ipi_defer=guest ipi_defer_test", counted=False)
        request(guest)
        [row] = [line.split() for line in guest.lines_of(f"cat {DIRECTORY}/stats")
                 if line.startswith(f"{ISOLATED[0]} sync_core ")]
        assert row[2:4] == ["-", "-"]
        # What the vCPU itself knows is there.
        assert int(row[6]) > 0

    def test_counted(self, boot):
        guest = boot("ipi_defer=guest ipi_defer_test")
        before = guest.work_stats("sync_core")
        request(guest, times=10)
        assert guest.work_stats("sync_core")["requested"] >= before["requested"] + 10


def looks(boot, append, **kwargs):
    """@return the guest, and whether its kernel entry looks"""
    guest = boot(append, **kwargs)
    return guest, bool(guest.lines_of("grep -wo ipi_defer /proc/cpuinfo"))


@pytest.mark.long
class TestUnpaid:
    """Kernel entry only looks for deferred work where there may be any."""

    def test_off(self, boot):
        assert not looks(boot, "")[1]

    def test_guest(self, boot):
        assert looks(boot, "ipi_defer=guest")[1]

    def test_hv(self, boot):
        assert looks(boot, "ipi_defer=hv")[1]

    def test_hv_without_a_hypervisor_that_offers_it(self, boot):
        guest, does = looks(boot, "ipi_defer=hv", defer=None)
        assert not does
        [because] = [line for line in log(guest) if "ipi_defer=off" in line]
        assert "no hypervisor offers" in because
