# SPDX-License-Identifier: GPL-2.0-or-later
"""Images that the VMM loads, and the ways in which what they have ends."""
import signal

import pytest

from tests.support import requirements
from tests.support.vmm import CANNOT_RUN, DONE, GUEST_FAILED, MOV_0_OUT, PATIENT, SECONDS

pytestmark = [pytest.mark.kvm, pytest.mark.ctest(timeout=1200, processors=2)]


def test_entry(vmm):
    """All ways to be entered but that of a flat image."""
    for way in "multiboot", "pvh", "long":
        path = requirements.path("IPIDEFER_KVM_ENTRIES", f"kvm-entry-{way}.elf")
        vmm.run("--guest", path, "--timeout", "60").expect(DONE)


def test_flat(vmm):
    vmm.run_code(MOV_0_OUT, "--load", "0x200000").expect(DONE)
    # The same with status 7.
    vmm.run_code(b"\xb0\x07\xe6\xf4").expect(GUEST_FAILED, "status 7")


def test_guest_crashes(vmm):
    # lidt of nothing, then ud2: no handler for anything.
    done = vmm.run_code(b"\x0f\x01\x1d\x00\x00\x20\x00\x0f\x0b")
    done.expect(GUEST_FAILED, "guest-failed: vCPU 0")
    assert done.report["outcome"]["kind"] == "guest-failed"


def test_guest_never_ends(vmm):
    # A halt that nothing ends, ring 0 that never exits, and ring 3.
    for code in b"\xfa\xf4", b"\xeb\xfe":
        vmm.run_code(code, "--timeout", "1").expect(
            GUEST_FAILED, "timeout: not done after 1 s")
    vmm.scenario("scenario=spin", "--timeout", "2").expect(
        GUEST_FAILED, "timeout: not done after 2 s")


def expect_stops(vmm, append, number):
    """Signalled when the guest has said something, so while it runs."""
    with vmm.start(*vmm.four(append), "--timeout", "90") as process:
        try:
            assert len(process.stdout.read(1)) == 1, "the guest said nothing"
            process.send_signal(number)
            assert process.wait(SECONDS) == CANNOT_RUN
        finally:
            process.kill()


def test_stopped_by_signal(vmm):
    expect_stops(vmm, "scenario=spin", signal.SIGTERM)
    expect_stops(vmm, "scenario=spin", signal.SIGINT)


def test_stopped_while_all_send(vmm):
    for _ in range(5):
        expect_stops(vmm, f"scenario=storm loud=1 rounds=100000000 {PATIENT}",
                     signal.SIGTERM)


def test_reader_that_stops_reading(vmm):
    # mov $'!', %al; 1: out %al, bashxe9; jmp 1b
    image = vmm.flat(b"\xb0!\xe6\xe9\xeb\xfc")
    with vmm.start("--guest", image, "--timeout", "2", "--quiet") as process:
        try:
            assert process.wait(SECONDS) == GUEST_FAILED
        finally:
            process.kill()
