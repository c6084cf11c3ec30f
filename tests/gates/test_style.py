# SPDX-License-Identifier: GPL-2.0-or-later
"""Sources are written as the tools that know each language want them."""
import subprocess

import pytest

from tests.support import requirements, sources
from tests.support.requirements import ROOT

pytestmark = [pytest.mark.unit, pytest.mark.ctest(processors=2)]
# Kernel and QEMU patches have checkpatch.pl; these are C for people who include them, and
# keep the style of C there.
CPP = (".cpp", ".hpp")


def complaints(command, names, root=ROOT):
    """@return what a tool says about these files, all at once"""
    assert names, "there are no such files"
    done = subprocess.run([*command, *names], cwd=root, capture_output=True, text=True,
                          check=False)
    said = done.stdout + done.stderr
    return said or (f"{command[0]} ended with {done.returncode}" if done.returncode else "")


def cpp_files():
    return [name for name in sources.files() if name.endswith(CPP)]


def shell_files():
    return [name for name in sources.files()
            if name.endswith((".sh", ".bash")) or
            sources.begins_with(name, "#!/bin/bash") or
            sources.begins_with(name, "#!/bin/sh")]


def python_files():
    return [name for name in sources.files() if name.endswith(".py")]


class TestClangFormat:
    def test_sources_are_formatted(self):
        tool = requirements.program("clang-format-14")
        assert complaints([tool, "--dry-run", "-Werror"], cpp_files()) == ""

    def test_offender_is_seen(self, tmp_path):
        tool = requirements.program("clang-format-14")
        (tmp_path / ".clang-format").write_text((ROOT / ".clang-format").read_text())
        (tmp_path / "a.cpp").write_text("int  a ;\n")
        assert "a.cpp:1" in complaints([tool, "--dry-run", "-Werror"], ["a.cpp"], tmp_path)


class TestShellcheck:
    def test_scripts_are_clean(self):
        tool = requirements.program("shellcheck")
        assert complaints([tool, "-x", "--source-path=SCRIPTDIR"], shell_files()) == ""

    def test_offender_is_seen(self, tmp_path):
        tool = requirements.program("shellcheck")
        (tmp_path / "a.sh").write_text("#!/bin/sh\nrm $1\n")
        assert "SC2086" in complaints([tool], ["a.sh"], tmp_path)


class TestPyflakes:
    def test_modules_are_clean(self):
        tool = requirements.program("pyflakes3")
        assert complaints([tool], python_files()) == ""

    def test_offender_is_seen(self, tmp_path):
        tool = requirements.program("pyflakes3")
        (tmp_path / "a.py").write_text("import os\n")
        assert "a.py:1" in complaints([tool], ["a.py"], tmp_path)
