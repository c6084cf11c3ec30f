# SPDX-License-Identifier: GPL-2.0-or-later
"""Patched Linux guests."""
import contextlib
import itertools
import os
import time

import pytest

from tests.support import configurations
from tests.support.initramfs import archive, obeying_root
from tests.support.linux_guest import Guest
from tests.support.machine import Failed

# An MSR that some nested KVMs offer, and then refuse to set.
KVM_CPU = "host,-arch-capabilities"


def pytest_generate_tests(metafunc):
    configurations.parametrize(metafunc, tcg=["nested"], kvm=["kvm_linux"])


@pytest.fixture(scope="session")
def whole_kvm(qemu, kernel, tmp_path_factory):
    """A KVM that boots Linux, which a nested, emulating one may not."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        pytest.skip("no /dev/kvm that can be used")
    initrd = tmp_path_factory.mktemp("kvm") / "initrd"
    archive(initrd, obeying_root())
    begin = time.monotonic()
    try:
        Guest(qemu, kernel, str(initrd), "ipi_defer=off", defer=None, cpu=KVM_CPU,
              accel="kvm").close()
    except Failed as error:
        text = str(error).strip().splitlines()
        pytest.skip("no Linux guest without ipi-defer came up under this KVM in "
                    f"{time.monotonic() - begin:.0f} s: {text[0] if text else ''}")


@pytest.fixture(scope="class")
def configuration(request):
    """What the machine is like: one of tests/support/configurations.py."""
    found = configurations.BY_NAME[getattr(request, "param", configurations.DEFAULT.name)]
    if found.kvm:
        request.getfixturevalue("whole_kvm")
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
                "cpu": KVM_CPU if configuration.kvm else "max", **kwargs}))
        yield boot_guest
