# SPDX-License-Identifier: GPL-2.0-or-later
"""The packages, built once for all tests from what git knows, in a system that has their
build dependencies and no network."""
import dataclasses
import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from tests.support import chroot, requirements
from tests.support.requirements import ROOT

# To build, and to look at what was built.
BUILDER = ["build-essential", "ccache", "dpkg-dev", "lintian", "iproute2"]
BEFORE = "~before"
BUILD = f"""
cd /build
dpkg-source -x in/*.dsc source >log 2>&1
cd source
dpkg-buildpackage --no-sign >>../log 2>&1
mkdir ../now && mv ../*.deb ../*.changes ../*.buildinfo ../*.dsc ../*.tar.* ../now
# The same programs as those of a version before.
sed -i '1s/)/{BEFORE})/' debian/changelog
dpkg-buildpackage --no-sign --build=binary --no-pre-clean >>../log 2>&1
mkdir ../before && mv ../*.deb ../before
"""


@dataclasses.dataclass(frozen=True)
class Built:
    """Folders of packages."""

    now: Path
    before: Path    # the same, with a lower version
    lintian: str    # what it said


def source_package(folder):
    """@return the folder that the source package is in"""
    requirements.program("dpkg-source")
    done = subprocess.run([ROOT / "setup/package.sh", "--source-only", "--cache", folder],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def build(suite, tmp):
    """@return what was built in a system of this suite, from the cache if that is from
    the same files"""
    archive = chroot.archive_of(suite, BUILDER, ROOT / "debian/control")
    source = source_package(tmp)
    # The script names its result by the files' contents.
    key = hashlib.sha256(f"{archive.name} {source.name} {BUILD}".encode()).hexdigest()[:16]
    kept = chroot.cache() / "chroot" / f"packages-{key}"
    with chroot.locked(f"{kept}.lock"):
        if not (kept / "lintian").exists():
            with chroot.system(archive) as system:
                build_in(system, source, kept)
    return built_in(kept)


def built_in(kept):
    return Built(kept / "now", kept / "before", (kept / "lintian").read_text())


def build_in(system, source, kept):
    (system.root / "build/in").mkdir(parents=True)
    for file in source.iterdir():
        (system.root / "build/in" / file.name).write_bytes(file.read_bytes())
    # Another run, after a small change, compiles what that concerns.
    compiled = chroot.cache() / "chroot/ccache"
    compiled.mkdir(exist_ok=True)
    done = system.shell(BUILD, check=False, ccache=compiled, environment={
        "PATH": "/usr/lib/ccache:/usr/sbin:/usr/bin:/sbin:/bin", "CCACHE_DIR": "/ccache",
        # What is compiled at a time, say.
        "DEB_BUILD_OPTIONS": os.environ.get("DEB_BUILD_OPTIONS", "")})
    if done.returncode != 0:
        log = system.path("/build/log").read_text(errors="replace").splitlines()
        pytest.fail("\n".join(log[-40:]), pytrace=False)
    said = system.run("lintian", "--verbose", "--info", "--no-tag-display-limit", "--allow-root",
                      "--pedantic", *sorted(f"/build/now/{file.name}" for file in
                      system.path("/build/now").glob("*.changes")), check=False).stdout
    subprocess.run(["rm", "-rf", kept], check=True)
    kept.mkdir()
    for part in "now", "before":
        subprocess.run(["cp", "-r", system.path(f"/build/{part}"), kept / part], check=True)
    (kept / "lintian").write_text(said)


@pytest.fixture(scope="module", params=("bookworm", "trixie"))
def suite(request):
    chroot.needs()
    return request.param


@pytest.fixture(scope="module")
def built(suite, tmp_path_factory):
    # Of somebody who changes a test, and no package: what was built before.
    if given := os.environ.get(f"IPIDEFER_PACKAGES_{suite.upper()}"):
        return built_in(Path(given))
    return build(suite, tmp_path_factory.mktemp("source"))
