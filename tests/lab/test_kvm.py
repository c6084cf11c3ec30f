# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab's table of guests of KVM, which ring the doorbell."""
import re

import pytest

from tests.lab.test_watched import switch_off_and_on
from tests.support import requirements
from tests.support.kvm_exits import NOHZ_FULL
from tests.support.lab import assert_undisturbed, events

pytestmark = [pytest.mark.kvm_linux, pytest.mark.ctest(timeout=1800, serial=True, each=True)]
# A third as many vCPUs spin as in the lab's default, which counts where they are emulated.
SMALL = ("--accel", "kvm", "--cpus", "2", "--isolated", "1")
X2APIC, XAPIC, SPLIT = [], ["--append", "nox2apic"], ["--irqchip", "split"]


def expect_agreement(report, least):
    """In each mode, of guest and VMM; and each typed IPI has one verdict, whoever gives it.

    @return the runs: off, guest, hv, and kvm where the host's KVM can decide
    """
    modes = ["off", "guest", "hv", "kvm"][:4 if requirements.kvm_decides() else 3]
    assert [run["mode"] for run in report["runs"]] == modes
    assert report["provenance"]["accelerator"].startswith("kvm")
    off, guest, *by_vmm = report["runs"]
    for run in report["runs"]:
        assert run["agree"] is True, run["disagreements"]
        assert run["guest"]["mode"] == run["mode"]
    assert events(off, "do_sync_core") >= least
    for run in (guest, *by_vmm):
        assert events(run, "do_sync_core") == 0, run["mode"]
        assert events(run, "typed:sync_core") >= least, run["mode"]
    for run in by_vmm:
        decided = sum(by["deferred"] + by["coalesced"] + sum(by["delivered"].values())
                      for by in run["vmm"]["verdicts"].values())
        assert decided == sum(count for name, count in run["guest"]["events"].items()
                              if name.startswith("typed:")), run["mode"]
    return report["runs"]


def exits(run):
    """Of the isolated vCPUs, as KVM counts them, but for those that their host CPUs'
    own interrupts account for: a host that is slow has more of these, not fewer IPIs."""
    return sum(run["kvm"][str(cpu)]["exits"] - run["host_interrupts"][str(cpu)]
               for cpu in run["isolated"])


def undisturbed_cpu():
    """@return a host CPU whose own ticks are no exits of a vCPU, or None"""
    listed = NOHZ_FULL.read_text() if NOHZ_FULL.exists() else ""
    return (re.findall(r"\d+", listed) or [None])[-1]


def expect_static_keys_undisturbed(lab, *more):
    cpu = undisturbed_cpu()
    lab.run(*SMALL, "--workload", "static-keys", *(["--pin", cpu] if cpu else []), *more)
    off, *deferring = expect_agreement(lab.report(), 100)
    for run in deferring:
        assert_undisturbed(run, "DSC")
    if cpu is None:
        return
    # An IPI that is not deferred is an exit, or several. Not each of the host's interrupts
    # is: some come while the vCPU is out of the guest already.
    bound = events(off, "do_sync_core") // 3
    assert exits(off) > bound
    for run in deferring:
        assert exits(run) < bound, run["mode"]


@pytest.mark.long
def test_kvm_x2apic(lab):
    expect_static_keys_undisturbed(lab, *X2APIC)


@pytest.mark.soak
def test_kvm_mixed(lab):
    lab.run(*SMALL)
    expect_agreement(lab.report(), 200)


@pytest.mark.soak
def test_kvm_xapic(lab):
    expect_static_keys_undisturbed(lab, *XAPIC)


@pytest.mark.soak
def test_kvm_split(lab):
    expect_static_keys_undisturbed(lab, *SPLIT)


@pytest.mark.soak
def test_kvm_split_xapic(lab):
    expect_static_keys_undisturbed(lab, *SPLIT, *XAPIC)


@pytest.mark.soak
def test_kvm_four_vcpus(lab):
    lab.run("--accel", "kvm")
    expect_agreement(lab.report(), 500)


@pytest.mark.soak
@pytest.mark.parametrize("mode", ["hv", pytest.param("kvm", marks=pytest.mark.decided)])
def test_kvm_kill_switch(lab, tool, mode):
    switch_off_and_on(lab, tool, "--accel", "kvm", mode=mode)
