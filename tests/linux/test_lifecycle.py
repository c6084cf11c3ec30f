# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest's registrations end when the guest does: suspend, kexec, crash."""
import pytest

from tests.support import requirements
from tests.support.initramfs import archive, obeying_root
from tests.support.linux_guest import BASE, ISOLATED, ISOLATION, Guest

pytestmark = pytest.mark.ctest(timeout=900, processors=2)
VECTOR = 0xf5           # sync_core


class LifecycleGuest(Guest):
    def words(self):
        """{vCPU: its bindings' words}, of the registered ones."""
        return {cpu["cpu-index"]: [b["word-gpa"] for b in cpu["bindings"]]
                for cpu in self.qmp("query-ipi-defer")["cpus"]
                if cpu["registered"]}

    def recorded(self):
        """Requests that interrupted no isolated vCPU, so far."""
        return sum(self.counters(cpu, VECTOR).get(verdict, 0)
                   for cpu in ISOLATED
                   for verdict in ("deferred", "coalesced"))


@pytest.fixture
def initrd(kernel, tmp_path):
    """A root that has the kernel that comes next, and its root."""
    root, more, whole = (tmp_path / name for name in ("root", "more", "whole"))
    archive(root, obeying_root())
    archive(more, {"bin/kexec_file": requirements.path("IPIDEFER_KEXEC_FILE"),
                   "kernel": f"{kernel}/bzImage", "root": root})
    whole.write_bytes(root.read_bytes() + more.read_bytes())
    return whole


@pytest.fixture
def guest(boot, initrd, request):
    """Each test has a mutant: the same with a kernel that keeps its registrations must
    fail."""
    fault = getattr(request, "param", "")
    guest = boot(f"ipi_defer=hv {fault} crashkernel=128M", cls=LifecycleGuest,
                 initrd=initrd)
    assert sorted(guest.words()) == [0, 1, 2, 3]
    return guest


def expect_deferral(guest, generation=1):
    before = guest.recorded()
    guest.run("toggle", generation)
    assert guest.recorded() > before, "nothing is deferred"


def suspend(guest):
    """Into S3, to where QEMU says that the machine sleeps."""
    guest.serial.send("echo mem >/sys/power/state")
    guest.wait_event("SUSPEND")


def kexec(when, append):
    """The command that loads the kernel that comes next."""
    return (f"kexec_file {when} /kernel /root "
            f"'{BASE} generation=2 {append}'")


@pytest.mark.machines(long=["tcg-xapic"], soak=["kvm-x2apic", "kvm-xapic", "kvm-split-xapic",
                                                "kvm-split-x2apic"])
class TestLifecycle:
    def test_suspend(self, guest):
        expect_deferral(guest)
        words = guest.words()
        suspend(guest)
        assert guest.words() == {}, "registered while asleep"
        guest.qmp("system_wakeup")
        guest.wait_ready()
        assert guest.words() == words
        expect_deferral(guest)

    def test_kexec(self, guest):
        expect_deferral(guest)
        guest.run(kexec("now", f"{ISOLATION} ipi_defer=off"), 2)
        assert guest.words() == {}, "registered by a kernel that is gone"

    def test_kexec_again(self, guest):
        """The next kernel registers its own words, and defers."""
        expect_deferral(guest)
        guest.run(kexec("now", f"{ISOLATION} ipi_defer=hv"), 2)
        assert sorted(guest.words()) == [0, 1, 2, 3]
        expect_deferral(guest, 2)

    def test_reset(self, guest):
        """The kernel starts anew, and so do its registrations."""
        expect_deferral(guest)
        guest.qmp("set-action", reboot="reset")
        guest.qmp("system_reset")
        guest.wait_event("RESET")
        guest.wait_ready()
        assert sorted(guest.words()) == [0, 1, 2, 3]
        expect_deferral(guest)

    def test_crash(self, guest):
        expect_deferral(guest)
        guest.run(kexec("panic", "nr_cpus=1 ipi_defer=off"))
        recorded = guest.recorded()
        guest.run("taskset -c 0 sh -c 'echo c >/proc/sysrq-trigger'", 2)
        assert 0 not in guest.words(), "the CPU that panicked is registered"
        # The others do not run any more. Their words accept nothing, as an NMI
        # stopped them: the crashed kernel's memory stays as it was.
        for cpu in guest.qmp("query-ipi-defer")["cpus"]:
            for binding in cpu["bindings"]:
                assert (binding["word"] & binding["accept-mask"]
                        != binding["accept-value"]), \
                    f"vCPU {cpu['cpu-index']} accepts work"
        guest.run("toggle", 2)
        assert guest.recorded() == recorded


@pytest.mark.nested
@pytest.mark.long
@pytest.mark.parametrize("guest", ["ipi_defer_fault=keep_registration"], indirect=True,
                         ids=["mutant"])
class TestKeepsRegistration:
    """The tests above, which must fail."""

    def test_suspend(self, guest):
        with pytest.raises(AssertionError, match="registered while asleep"):
            TestLifecycle().test_suspend(guest)

    def test_kexec(self, guest):
        with pytest.raises(AssertionError, match="a kernel that is gone"):
            TestLifecycle().test_kexec(guest)

    def test_crash(self, guest):
        with pytest.raises(AssertionError, match="that panicked"):
            TestLifecycle().test_crash(guest)
