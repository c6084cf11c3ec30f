# SPDX-License-Identifier: GPL-2.0-or-later
"""What is wrong with a guest or a VMM, the lab sees."""
import pytest

from tests.support.lab import DEFECT

pytestmark = [pytest.mark.nested, pytest.mark.ctest(timeout=1200, serial=True, each=True)]


@pytest.mark.long
def test_nested_guest_dropped_flush(lab):
    """A flush that the VM exit leaves out is seen."""
    said = lab.run("--nested", "--modes", "hv", "--append", "ipi_defer_fault=drop_flush",
                   status=DEFECT)
    assert "flushed or pending, but" in said
    assert lab.report()["runs"][0]["agree"] is False


def test_dropped_flush(lab):
    said = lab.run("--modes", "hv", "--append", "ipi_defer_fault=drop_flush",
                   "--workload", "static-keys", status=DEFECT)
    assert "owes work" in said
    assert lab.report()["runs"][0]["agree"] is False


def expect_dropped_ipi(lab, append):
    """The kernel sends again what was lost, so only the counts tell."""
    said = lab.run("--modes", "hv", "--append", f"{append}ipi_defer_fault=drop_ipi",
                   "--workload", "static-keys", status=DEFECT)
    assert "deferred, coalesced and delivered by the VMM (I1)" in said


def test_dropped_ipi(lab):
    expect_dropped_ipi(lab, "")


@pytest.mark.long
def test_ticks_dropped_ipi(lab):
    """A typed IPI that is lost is a defect with ticks on the isolated vCPUs too, where
    interrupts may be merged."""
    expect_dropped_ipi(lab, "nohz=off ")


@pytest.mark.long
def test_panic(lab):
    said = lab.run("--modes", "off", "--workload",
                   lab.script("echo c >/proc/sysrq-trigger\n"), status=DEFECT)
    assert "panic" in said
    assert "---- the last lines:" in said
    assert "sysrq triggered crash" in lab.report()["given_up"]["console"]


@pytest.mark.long
def test_hang(lab):
    said = lab.run("--modes", "off", "--timeout", "20", "--workload",
                   lab.script("while :; do sleep 1; done\n"), status=DEFECT)
    assert "no sign of life from the guest for 20 seconds" in said
    assert "while running workload workload.sh" in said


@pytest.mark.long
def test_stall(lab):
    """The same kind of complaint as of a host that starves, from a guest that the host
    runs, is its own doing, whatever --retries says. The workload writes it, as nothing in
    the lab's guest can hang a CPU of this kernel for the 20 s that a real one takes."""
    said = lab.run("--modes", "off", "--retries", "3", "--workload", lab.script(
        "echo '<0>watchdog: BUG: soft lockup - CPU#1 stuck for 26s!' >/dev/kmsg\n"
        "sleep 30\n"), status=DEFECT)
    assert "a soft lockup" in said
    assert not lab.report()["starved"], "the host was blamed"
