# SPDX-License-Identifier: GPL-2.0-or-later
"""A libvirtd of the test's own, and domains on it."""
import contextlib
import os
import types

import pytest

from tests.support import libvirtd as own
from tests.support import requirements
from tests.support.domains import Domains
from tests.support.initramfs import archive, obeying_root


@pytest.fixture(scope="class")
def daemon():
    """What kind of libvirtd domains are on."""
    return own.Libvirtd


@pytest.fixture(scope="class")
def shared(qemu, kernel, daemon, tmp_path_factory):
    """One libvirtd for a class, and what its user can read: QEMU, kernel, root."""
    if os.environ.get("IPIDEFER_WITHOUT_LIBVIRT"):
        pytest.skip("this build is without libvirt (IPIDEFER_LIBVIRT)")
    requirements.module("libvirt", "python3-libvirt")
    requirements.file(own.PROGRAM, "libvirt-daemon")
    requirements.host_cpus(2, "the isolated vCPU needs its own")
    initrd = tmp_path_factory.mktemp("domain") / "initrd"
    archive(initrd, obeying_root())
    with contextlib.closing(daemon()) as libvirtd:
        yield types.SimpleNamespace(
            libvirtd=libvirtd, initrd=libvirtd.share(str(initrd)),
            kernel=libvirtd.share(f"{kernel}/bzImage"), qemu=libvirtd.share(qemu))


@pytest.fixture
def domains(request, shared, tmp_path):
    with contextlib.ExitStack() as stack:
        yield Domains(shared, str(tmp_path),
                      requirements.host_cpus(2, "the isolated vCPU needs its own"),
                      stack.callback, kvm=request.node.get_closest_marker("kvm_linux"))
