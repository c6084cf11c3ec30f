# SPDX-License-Identifier: GPL-2.0-or-later
"""Patched Linux guests."""
import contextlib
import itertools

import pytest

from tests.support import box, configurations
from tests.support.configurations import HOST_CPU
from tests.support.initramfs import archive, obeying_root
from tests.support.kvm_exits import alone
from tests.support.linux_guest import ISOLATED, Guest


def cpu_of(configuration):
    """@return the value of QEMU's -cpu"""
    if not configuration.kvm:
        return "max"
    # A guest of KVM uses x2APIC mode wherever its CPU has it.
    return HOST_CPU if configuration.x2apic else f"{HOST_CPU},-x2apic"


def pytest_generate_tests(metafunc):
    configurations.parametrize(metafunc, tcg=["nested"], kvm=["kvm_linux"])


@pytest.fixture(scope="class")
def configuration(request):
    """What the machine is like: one of tests/support/configurations.py."""
    found = configurations.BY_NAME[getattr(request, "param", configurations.DEFAULT.name)]
    if found.kvm:
        request.getfixturevalue("qemu")
        request.getfixturevalue("kernel")
        assert box.whole_kvm(), "tests that want the box run in the box"
    return found


@pytest.fixture
def boot(qemu, kernel, configuration, tmp_path):
    """Boots guests for the time of a test: boot(append, files, ...), with files that the
    root has besides its own, {name in the guest: file here}."""
    numbers = itertools.count()
    with contextlib.ExitStack() as guests:
        def boot_guest(append, files=None, cls=Guest, initrd=None, **kwargs):
            if initrd is None:
                initrd = tmp_path / f"initrd{next(numbers)}"
                archive(initrd, {**obeying_root(), **(files or {})})
            return guests.enter_context(cls(qemu, kernel, str(initrd), append, **{
                "accel": configuration.accelerator, "defer": configuration.properties,
                "cpu": cpu_of(configuration), **kwargs}))
        yield boot_guest


@pytest.fixture
def guest_alone(boot):
    """A guest whose isolated vCPUs have host CPUs for themselves, with text that was
    changed once."""
    guest = boot("ipi_defer=hv ipi_defer_test")
    alone(guest, ISOLATED)
    guest.run("toggle; sleep 1")
    return guest
