# SPDX-License-Identifier: GPL-2.0-or-later
"""Deliberate bugs, which must be seen: of the VMM by the guest, and of the guest by its
own check."""
import pytest

from tests.support.vmm import DONE, GUEST_FAILED, IMPATIENT, MOSTLY_IN_RING_3, PATIENT

pytestmark = [pytest.mark.kvm, pytest.mark.ctest(timeout=1200, processors=2)]


@pytest.mark.parametrize("bug, scenario, said, patience", [
    ("drop", "storm", "lost work", IMPATIENT),
    ("both", f"once {MOSTLY_IN_RING_3}", "recorded and delivered", PATIENT),
    ("defer-nmi", "nmi", "an NMI was lost", IMPATIENT),
    ("keep-registration", "init", "a registration outlives INIT", PATIENT),
    ("any-word", "bad-registrations", "was accepted", PATIENT),
], ids=["drop", "both", "defer-nmi", "keep-registration", "any-word"])
def test_vmm_mutant(vmm, bug, scenario, said, patience):
    # Without it all is well: what is seen is the bug.
    append = f"scenario={scenario} rounds=60"
    vmm.scenario(f"{append} {PATIENT}").expect(DONE)
    vmm.scenario(f"{append} {patience}", program=vmm.with_bug(bug)).expect(
        GUEST_FAILED, said)


@pytest.mark.parametrize("mutation, scenario", [
    ("omit-flush", "storm"), ("omit-nmi-flush", "nmi")], ids=["omit-flush", "omit-nmi-flush"])
def test_guest_mutant(vmm, mutation, scenario):
    vmm.scenario(f"scenario={scenario} {mutation}=1 {PATIENT}").expect(
        GUEST_FAILED, "kernel code ran on an isolated CPU before the work")
