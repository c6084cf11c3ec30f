# SPDX-License-Identifier: GPL-2.0-or-later
"""Roots of Linux guests: cpio archives of programs."""
import os
import shutil
import subprocess
import tempfile

from tests.support import requirements


def archive(path, files):
    """A cpio archive of {name: source file}, all of them programs."""
    cpio = requirements.program("cpio")
    with tempfile.TemporaryDirectory() as root:
        for name in "proc", "sys", "dev", "bin":
            os.mkdir(os.path.join(root, name))
        for name, source in files.items():
            target = os.path.join(root, name)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copyfile(source, target)
            os.chmod(target, 0o755)
        # In an order that is always the same, as is what a guest prints of it.
        names = sorted(os.path.relpath(os.path.join(folder, name), root)
                       for folder, folders, inside in os.walk(root)
                       for name in (*folders, *inside))
        with open(path, "wb") as out:
            subprocess.run([cpio, "-o", "-H", "newc", "--quiet"], cwd=root,
                           input="\n".join([".", *names]).encode(), stdout=out,
                           check=True)


def obeying_root():
    """@return {name in the guest: file here} of a guest that does what a test says over
    a serial port (tests/linux/init)"""
    return {"init": os.path.join(requirements.ROOT, "tests/linux/init"),
            "bin/busybox": requirements.program("busybox")}
