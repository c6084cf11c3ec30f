#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What begins as a script can be run as the documents print it, and nothing else can.

    test_scripts.py [-v] [TEST]...
"""
import os
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDERS = ("base", "cmake", "docs", "guest-patches", "host", "setup", "tests", "vmm")


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


class Scripts(unittest.TestCase):
    def test_all_can_be_run(self):
        names = [path.relative_to(ROOT).as_posix() for folder in FOLDERS
                 for path in (ROOT / folder).rglob("*")
                 if "__pycache__" not in path.parts]
        self.assertGreater(len(names), 500)
        self.assertEqual(differing(ROOT, names), [])

    def test_offenders_are_named(self):
        with tempfile.TemporaryDirectory(prefix="ipidefer-scripts-") as folder:
            for name, text, mode in (("a", "#!/bin/sh\n", 0o755), ("b", "text", 0o644),
                                     ("c", "#!/bin/sh\n", 0o644), ("d", "text", 0o755)):
                path = Path(folder) / name
                path.write_text(text)
                path.chmod(mode)
            self.assertEqual(differing(Path(folder), "abcd"), ["c", "d"])


if __name__ == "__main__":
    unittest.main()
