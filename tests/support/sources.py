# SPDX-License-Identifier: GPL-2.0-or-later
"""The files of the repository, for tests that look at all of them."""
import os
import subprocess

from tests.support.requirements import ROOT

NOT_SOURCE = ("build", "out", ".git", "__pycache__")


def files(root=ROOT):
    """@return the paths below the root, with slashes: what git knows and what is new and
    not ignored; without git, as in a release's archive, all that is here"""
    known = subprocess.run(["git", "ls-files", "--cached", "--others",
                            "--exclude-standard"],
                           cwd=root, capture_output=True, text=True, check=False)
    if known.returncode == 0:
        names = known.stdout.splitlines()
    else:
        names = []
        for folder, folders, found in os.walk(root):
            folders[:] = [name for name in folders if name not in NOT_SOURCE]
            names += [os.path.relpath(os.path.join(folder, name), root)
                      for name in found]
    return sorted(name for name in set(names) if (root / name).is_file())


def text_of(name, root=ROOT):
    return (root / name).read_text(encoding="utf-8", errors="replace")


def begins_with(name, what, root=ROOT):
    with open(root / name, "rb") as file:
        return file.read(len(what)) == what.encode()
