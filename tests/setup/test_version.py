# SPDX-License-Identifier: GPL-2.0-or-later
"""The version is in one place, and what has to repeat it agrees; a program says what it
was built from."""
import re
import subprocess

import pytest

from tests.support import requirements
from tests.support.requirements import ROOT

pytestmark = pytest.mark.unit
HEADER = "vmm/core/include/ipidefer/ipidefer.h"
REVISION = ROOT / "cmake/revision.cmake"


def version_of(text):
    return ".".join(re.search(rf"^#define IPIDEFER_VERSION_{part} (\d+)$", text,
                              re.MULTILINE)[1] for part in ("MAJOR", "MINOR", "PATCH"))


def complaints(header, changelog, debian):
    """@return what does not agree, one sentence each"""
    version, wrong = version_of(header), []
    newest = re.search(r"^## (?!Unreleased$)(\S+)", changelog, re.MULTILINE)[1]
    if newest != version:
        wrong.append(f"CHANGELOG.md: the newest version is {newest}, not {version}")
    packaged = re.match(r"ipidefer \((\S+)\)", debian)[1]
    if packaged != version:
        wrong.append(f"debian/changelog: the newest version is {packaged}, not {version}")
    return wrong


def test_all_places_agree():
    assert complaints((ROOT / HEADER).read_text(), (ROOT / "CHANGELOG.md").read_text(),
                      (ROOT / "debian/changelog").read_text()) == []


def test_offenders_are_named():
    header = "".join(f"#define IPIDEFER_VERSION_{part} {number}\n"
                     for part, number in (("MAJOR", 1), ("MINOR", 2), ("PATCH", 3)))
    assert complaints(header, "# Changelog\n\n## Unreleased\n\n## 1.2.2\n",
                      "ipidefer (1.2.4) unstable; x\n") == [
        "CHANGELOG.md: the newest version is 1.2.2, not 1.2.3",
        "debian/changelog: the newest version is 1.2.4, not 1.2.3"]


def revision(tmp_path, source, given=""):
    """@return what a build of these sources says that it was made from"""
    out = tmp_path / "revision.hpp"
    subprocess.run(["cmake", "-D", f"SOURCE={source}", "-D", f"GIVEN={given}", "-D",
                    f"OUT={out}", "-P", REVISION], check=True, capture_output=True)
    return re.search(r'kRevision\[\] = "(.*)";', out.read_text())[1]


def test_a_build_knows_its_commit(tmp_path):
    git = requirements.program("git")
    clone = tmp_path / "clone"
    clone.mkdir()
    (clone / "file").write_text("one\n")
    for words in (["init", "-q"], ["add", "file"],
                  ["-c", "user.name=x", "-c", "user.email=x@x", "commit", "-qm", "x"]):
        subprocess.run([git, *words], cwd=clone, check=True)
    head = subprocess.run([git, "rev-parse", "--short=12", "HEAD"], cwd=clone, text=True,
                          check=True, stdout=subprocess.PIPE).stdout.strip()
    assert revision(tmp_path, clone) == f"commit {head}"
    (clone / "file").write_text("two\n")
    assert revision(tmp_path, clone) == f"commit {head} with changes"
    assert revision(tmp_path, clone, "package 1") == "package 1"
    # Of an archive that was unpacked in a clone of something else.
    (clone / "archive").mkdir()
    assert revision(tmp_path, clone / "archive") == "files without a version control"


@pytest.mark.parametrize("variable", ("IPIDEFER_CLI", "IPIDEFERD", "IPIDEFER_VMM"))
def test_programs_say_it(variable):
    said = subprocess.run([requirements.path(variable), "--version"], check=True, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE).stdout
    version = re.escape(version_of((ROOT / HEADER).read_text()))
    assert re.fullmatch(rf"ipidefer(d|-vmm)? {version}\nbuilt from .+, by \w+ [\d.]+\n", said)
