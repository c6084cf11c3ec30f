# SPDX-License-Identifier: GPL-2.0-or-later
"""What begins as a script can be run as the documents print it, and nothing else can. No
script asks by a pipe whose last part leaves early."""
import os
import re

import pytest

from tests.support import sources
from tests.support.requirements import ROOT

pytestmark = pytest.mark.unit
# With pipefail the answer is that of who still writes, and dies of SIGPIPE; by chance.
LEAVES_EARLY = re.compile(r"^[^#\n]*[^|]\|\s*grep\s+-[a-zA-Z]*q.*", re.M)


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
        names = sources.files()
        assert len(names) > 500
        assert {"check", "lab", ".ci/run"} <= set(names)
        assert differing(ROOT, names) == []

    def test_offenders_are_named(self, tmp_path):
        for name, text, mode in (("a", "#!/bin/sh\n", 0o755), ("b", "text", 0o644),
                                 ("c", "#!/bin/sh\n", 0o644), ("d", "text", 0o755)):
            path = tmp_path / name
            path.write_text(text)
            path.chmod(mode)
        assert differing(tmp_path, "abcd") == ["c", "d"]


def leaving_early(text):
    """@return lines of a script with pipefail that may end with 141 by chance"""
    return LEAVES_EARLY.findall(text) if "pipefail" in text else []


class TestPipes:
    def test_none_is_left_early(self):
        scripts = [name for name in sources.files()
                   if name.endswith(".sh") or sources.begins_with(name, "#!/bin/bash")]
        assert len(scripts) > 20
        assert {name: lines for name in scripts
                if (lines := leaving_early(sources.text_of(name)))} == {}

    def test_offenders_are_named(self):
        kept = "set -o pipefail\n# a | grep -q b\na | grep b\nx || grep -q y z\n"
        assert leaving_early(kept) == []
        assert leaving_early(kept + "a | grep -xq b || die\n") == ["a | grep -xq b || die"]
