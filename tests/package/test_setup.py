# SPDX-License-Identifier: GPL-2.0-or-later
"""What ./lab and ./check would set up, in systems of each release of Debian and of
somebody else: nothing of it is installed here."""
import re
import subprocess

import pytest

from tests.support import chroot
from tests.support.requirements import ROOT

pytestmark = [pytest.mark.package, pytest.mark.soak, pytest.mark.ctest(timeout=1800)]
PLAN = """
. /src/setup/packages.sh
can_install
apt-get -q update
apt-get -s --no-install-recommends install "${PACKAGES_LAB[@]}" "${PACKAGES_CHECK[@]}"
"""


@pytest.fixture
def system(suite):
    with chroot.system(chroot.archive_of(suite, ["apt-utils", "autopkgtest", "iproute2"])) \
            as system:
        for folder in "setup", "vmm/qemu", "guest-patches/linux-6.12":
            system.path(f"/src/{folder}").mkdir(parents=True)
            subprocess.run(["cp", "-rT", ROOT / folder, system.path(f"/src/{folder}")],
                           check=True)
        yield system


class TestSetup:
    def test_every_package_can_be_installed(self, suite, system):
        done = system.run("bash", "-euc", PLAN, network=True)
        planned = set(re.findall(r"^Inst (\S+)", done.stdout, re.MULTILINE))
        assert {"libvirt-dev", "libpugixml-dev", "spin", "chromium"} <= planned
        boost = {"bookworm": "libboost1.81-dev", "trixie": "libboost-dev"}[suite]
        assert boost in planned

    def test_another_system_is_told_what_it_lacks(self, system):
        system.path("/etc/os-release").unlink()
        system.path("/etc/os-release").write_text(
            'PRETTY_NAME="Some Linux 7"\nVERSION_CODENAME=seven\n')
        done = system.run("/src/setup/prepare.sh", "lab", check=False)
        assert done.returncode == 1
        assert "this is Some Linux 7" in done.stdout
        assert "Debian 12 (bookworm) or 13 (trixie)" in done.stdout
        # By Debian's names, and a way around.
        assert re.search(r"^Missing here.* libvirt-dev ", done.stdout, re.MULTILINE)
        assert "debian:trixie" in done.stdout
