# SPDX-License-Identifier: GPL-2.0-or-later
"""What begins as a script can be run as the documents print it, and nothing else can."""
import os

import pytest

from tests.support.requirements import ROOT

pytestmark = pytest.mark.unit
FOLDERS = ("base", "cmake", "docs", "experiments", "guest-patches", "guests", "host", "setup",
           "tests", "vmm")


def differing(root, names):
    """@return files that are executable without #!, or have that and are not"""
    wrong = []
    for name in names:
        path = root / name
        if not path.is_file() or path.is_symlink():
            continue
        with open(path, "rb") as file:
            script = file.read(2) == b"#!"
        if script != os.access(path, os.X_OK):
            wrong.append(name)
    return wrong


class TestScripts:
    def test_all_can_be_run(self):
        names = [path.relative_to(ROOT).as_posix() for folder in FOLDERS
                 for path in (ROOT / folder).rglob("*")
                 if "__pycache__" not in path.parts]
        assert len(names) > 500
        assert differing(ROOT, names) == []

    def test_offenders_are_named(self, tmp_path):
        for name, text, mode in (("a", "#!/bin/sh\n", 0o755), ("b", "text", 0o644),
                                 ("c", "#!/bin/sh\n", 0o644), ("d", "text", 0o755)):
            path = tmp_path / name
            path.write_text(text)
            path.chmod(mode)
        assert differing(tmp_path, "abcd") == ["c", "d"]
