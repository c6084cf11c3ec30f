# SPDX-License-Identifier: GPL-2.0-or-later
"""Machines with the puppet in them, as the tests of QEMU want them."""
import contextlib

import pytest

from tests.support import configurations, requirements
from tests.support.puppet import Puppet, SharedPuppet


def pytest_generate_tests(metafunc):
    configurations.parametrize(metafunc)


@pytest.fixture(scope="session")
def puppet():
    """The guest's ELF file."""
    return requirements.path("IPIDEFER_PUPPET")


@pytest.fixture(scope="class")
def configuration(request):
    """What the machine is like: one of tests/support/configurations.py."""
    name = getattr(request, "param", configurations.DEFAULT.name)
    found = configurations.BY_NAME[name]
    if found.kvm:
        requirements.kvm()
    return found


@pytest.fixture(scope="class", autouse=True)
def possible_here(configuration):
    """Each test is of a configuration, though it may not ask for it by name."""


@pytest.fixture(scope="class")
def options(configuration):
    """QEMU's options, unless a test says others."""
    return configuration.options()


def boot_until(machines, cls, qemu, puppet, options, configuration):
    """@return what starts a machine that runs until these machines' time is over"""
    def boot(*args, qemu=qemu, guest=puppet, options=options, **kwargs):
        return machines.enter_context(
            cls(qemu, guest, *options, *args, configuration=configuration, **kwargs))
    return boot


@pytest.fixture
def boot(qemu, puppet, options, configuration, tmp_path):
    """Starts machines for the time of a test: boot(more options, ...). They end before
    the folder goes that a test may have given them."""
    # pylint: disable=unused-argument
    with contextlib.ExitStack() as machines:
        yield boot_until(machines, Puppet, qemu, puppet, options, configuration)


@pytest.fixture(scope="class")
def shared(qemu, puppet, options, configuration):
    """One machine for the tests of a class."""
    with contextlib.ExitStack() as machines:
        yield boot_until(machines, SharedPuppet, qemu, puppet, options, configuration)()


@pytest.fixture
def vm(request, configuration):
    """A machine as after a start: with KVM that of the class, as firmware may be slow
    to start there; else one of its own."""
    if not configuration.kvm:
        return request.getfixturevalue("boot")()
    machine = request.getfixturevalue("shared")
    machine.fresh()
    return machine
