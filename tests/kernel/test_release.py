# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel that was built is of one release, within a git repository too, or it is not
kept: a kernel does not load modules of another release."""
import subprocess

import pytest

from tests.support import requirements
from tests.support.requirements import ROOT

pytestmark = pytest.mark.unit
# What the kernel's build asks to find out whether it is in a repository: if so, its
# release ends in a plus sign, unless LOCALVERSION is set.
MAKEFILE = """\
kernelrelease:
	@if [ "$${LOCALVERSION+set}" = set ]; then echo "1.2$$LOCALVERSION"; \\
	elif git rev-parse --verify HEAD >/dev/null 2>&1; then echo 1.2+; \\
	else echo 1.2; fi
git-variables:
	@env | grep '^GIT_' || true
"""
# The library of the kernel's build, which expects these variables.
LIBRARY = f"""\
set -euo pipefail
what=release
. {ROOT}/guest-patches/linux-6.12/kernel-lib.sh
root=$1 log=$1/log source=$1/source.tar
"""


@pytest.fixture(scope="module", autouse=True)
def tools():
    for name in "git", "make", "modinfo", "objcopy", "gcc":
        requirements.program(name)


def build_says(folder, script, *arguments):
    """@return the status and the lines of a script that has the library"""
    done = subprocess.run(["bash", "-c", LIBRARY + script, "bash", folder, *arguments],
                          stdout=subprocess.PIPE, text=True, check=False)
    return done.returncode, done.stdout.splitlines()


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A kernel's source in a git repository, which the environment names."""
    (tmp_path / "source").mkdir()
    (tmp_path / "source/Makefile").write_text(MAKEFILE)
    subprocess.run(["tar", "-C", tmp_path, "-cf", tmp_path / "source.tar", "source"],
                   check=True)
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    subprocess.run(["git", "-C", tmp_path, "-c", "user.name=nobody", "-c",
                    "user.email=nobody@example.invalid", "commit", "-q", "--allow-empty",
                    "-m", "empty"], check=True)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / ".git"))
    return tmp_path


def test_release_is_the_same_within_a_repository(repository):
    # The control: git would have a say in it.
    before = subprocess.run(["make", "-s", "-C", repository / "source", "kernelrelease"],
                            stdout=subprocess.PIPE, text=True, check=True).stdout
    assert before == "1.2+\n"
    assert build_says(repository, 'unpack; "${make[@]}" kernelrelease') == (0, ["1.2"])
    assert build_says(repository, 'unpack; "${make[@]}" git-variables') == (0, [])


class Files:
    """Image, kernel and module, each of a release."""

    def __init__(self, folder):
        self.folder = folder
        subprocess.run(["gcc", "-c", "-x", "assembler", "-o", folder / "empty.o", "-"],
                       input=b"", check=True)

    def write(self, image, kernel, module):
        where = (b"%s (somebody@somewhere) #1\0" % image.encode())
        (self.folder / "bzImage").write_bytes(
            bytes(0x20e) + b"\x10\x02" + bytes(0x200) + where)
        (self.folder / "vmlinux").write_bytes(
            b"Linux version %s (somebody@somewhere)\0%s SMP mod_unload \0"
            % (kernel.encode(), kernel.encode()))
        (self.folder / "info").write_bytes(
            b"vermagic=%s SMP mod_unload \0" % module.encode())
        subprocess.run(
            ["objcopy", "--add-section", f".modinfo={self.folder / 'info'}",
             self.folder / "empty.o", self.folder / "some.ko"], check=True)


@pytest.mark.parametrize("image, kernel, module, said", [
    ("1.2", "1.2", "1.2", []),
    ("1.2+", "1.2", "1.2", ["bzImage is '1.2+', not '1.2'"]),
    # The kernel without its modules, as it once was.
    ("1.2", "1.2+", "1.2", ["vmlinux is '1.2+', not '1.2'",
                            "some.ko is '1.2 SMP mod_unload ', which vmlinux is not"]),
    ("1.2", "1.2", "1.2+", ["some.ko is '1.2+ SMP mod_unload ', which vmlinux is not"]),
])
def test_another_release_is_seen(tmp_path, image, kernel, module, said):
    """Of image, kernel or module."""
    Files(tmp_path).write(image, kernel, module)
    status, lines = build_says(
        tmp_path, 'releases_differ 1.2 "$root/bzImage" "$root/vmlinux" "$root/some.ko"')
    assert sorted(lines) == sorted(said)
    # It says whether they differ.
    assert status == (0 if said else 1)
