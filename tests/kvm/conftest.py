# SPDX-License-Identifier: GPL-2.0-or-later
"""VMMs on real KVM: skipped, loudly, without one that ipidefer-vmm can use.

Works without the rest of the repository, as in an initramfs that has this package,
python3 and pytest: programs are named by the environment only.
"""
import subprocess

import pytest

from tests.support import requirements
from tests.support.vmm import DONE, NOT_POSSIBLE, Vmm


@pytest.fixture(scope="session")
def usable_kvm():
    """A KVM that has all that the VMM needs, as it says itself."""
    probe = subprocess.run([requirements.path("IPIDEFER_VMM"), "--probe"],
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, check=False)
    if probe.returncode == NOT_POSSIBLE:
        said = " ".join(probe.stdout.split())
        pytest.skip(f"no KVM that this VMM could use: {said}")
    assert probe.returncode == DONE, probe.stdout


@pytest.fixture
def vmm(usable_kvm, tmp_path):  # pylint: disable=unused-argument
    return Vmm(tmp_path)
