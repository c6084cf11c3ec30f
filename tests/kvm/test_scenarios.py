# SPDX-License-Identifier: GPL-2.0-or-later
"""Scenarios of the test guest, in both modes of the local APIC."""
import pytest

from tests.support import requirements
from tests.support.vmm import DONE, MOSTLY_IN_RING_3, PATIENT

# A guest's own limit is 150 s, and a few tests run several. vCPUs spin.
pytestmark = [pytest.mark.kvm, pytest.mark.ctest(timeout=1200, processors=2)]
# What the guest does when it has shown that it is still sane.
SANE_IPIS = 20


@pytest.fixture(params=["x2apic", "xapic"])
def scenario(vmm, request):
    """scenario(name, more) is a run of it that went well."""
    def run(name, more=""):
        done = vmm.scenario(f"scenario={name} apic={request.param.removesuffix('apic')} "
                            f"{PATIENT} {more}")
        return done.expect(DONE, "== end")
    return run


def test_apic(scenario):
    scenario("apic")


def test_icr_storm(scenario):
    scenario("icr-storm")


def test_bad_registrations(scenario):
    done = scenario("bad-registrations")
    assert done.report["registrations"]["accepted"] == 1


def test_registration_storm(scenario):
    done = scenario("registration-storm")
    # While nobody has bound a vector it is none of the VMM's business.
    assert sum(map(done.verdicts, (1, 2, 3))) <= done.value("sent") + SANE_IPIS
    assert done.value("accepted") <= done.value("attempts")
    assert done.report["registrations"]["refused"] == \
        done.value("attempts") - done.value("accepted")


def test_rewrite_storm(scenario):
    done = scenario("rewrite-storm")
    assert done.verdicts(1) == done.value("sent") + SANE_IPIS


def test_storm(scenario):
    done = scenario("storm")
    done.expect_accounted()
    assert done.recorded(1) != 0


def test_once(scenario):
    """Each IPI is recorded or taken, and never both."""
    done = scenario("once", MOSTLY_IN_RING_3)
    assert done.recorded(1) != 0
    assert done.recorded(1) + done.value("taken") == done.value("sent")
    assert done.value("taken") == done.verdicts(1, "delivered")


def test_nmi(scenario):
    done = scenario("nmi")
    assert done.report["vcpus"][1]["nmis"] == done.value("nmis")


def test_init(scenario):
    scenario("init")


def test_policy(vmm):
    storm = f"scenario=storm rounds=60 {PATIENT}"
    for option in ("--defer", "off"), ("--user", "off"), ("--vectors", "32-200"):
        done = vmm.scenario(storm, *option).expect(DONE)
        done.expect_accounted()
        assert done.recorded(1) == 0, option
        assert done.verdicts(1, "delivered-policy") != 0, option
    # The control: by default something is recorded.
    assert vmm.scenario(storm).expect(DONE).recorded(1) != 0


def test_static_build(vmm):
    done = vmm.scenario(f"scenario=storm rounds=60 {PATIENT}",
                        program=requirements.path("IPIDEFER_VMM_STATIC")).expect(DONE)
    done.expect_accounted()
