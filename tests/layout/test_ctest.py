# SPDX-License-Identifier: GPL-2.0-or-later
"""Each test that pytest collects is run by one entry of ctest, and by one only."""
import collections
import re
import subprocess
import sys

import pytest

from tests.support.requirements import ROOT

pytestmark = pytest.mark.unit
TESTS = ROOT / "tests"
ADDED = re.compile(r"add_test\(NAME (\S+) .*\n *COMMAND \$\{IPIDEFER_PYTEST\} (.*) "
                   r"--ctest (\S+)\)")


def collected(*arguments):
    """@return the tests that a run with these arguments would have"""
    done = subprocess.run([sys.executable, "-B", "-m", "pytest", "--collect-only", "-q",
                           *arguments], cwd=TESTS, capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return [line for line in done.stdout.splitlines() if "::" in line]


@pytest.fixture(scope="module")
def added(tmp_path_factory):
    """{name of an entry: files that its command gives pytest}"""
    out = tmp_path_factory.mktemp("ctest") / "tests.cmake"
    subprocess.run([sys.executable, ROOT / "cmake/pytest_tests.py", out], check=True)
    found = ADDED.findall(out.read_text())
    assert all(name == wanted for name, _, wanted in found)
    assert len(found) == out.read_text().count("add_test(")
    names = [name for name, _, _ in found]
    assert len(set(names)) == len(names)
    return {name: files.split() for name, files, _ in found}


def test_every_test_is_part_of_one_entry(added):
    everything = collected()
    assert len(everything) > 10
    assert len(set(everything)) == len(everything)
    # All entries at once, and each with its own files only.
    wanted = [argument for name in added for argument in ("--ctest", name)]
    assert sorted(collected(*wanted)) == sorted(everything)
    files = collections.Counter(file for names in added.values() for file in set(names))
    assert set(files) == {test.split("::")[0] for test in everything}


def test_an_entry_runs_its_own_and_no_other(added):
    """Names are told apart that begin alike, and a part of a file is no whole."""
    ours = collected(*added["layout.ctest"], "--ctest", "layout.ctest")
    assert sorted(ours) == sorted(test for test in collected("layout/test_ctest.py"))
    name = "layout.Offenders"
    offenders = collected(*added[name], "--ctest", name)
    assert offenders == [test for test in collected("layout/test_includes.py")
                         if "::TestOffenders::" in test]


def test_no_test_is_skipped_by_a_name_that_is_not_there():
    done = subprocess.run([sys.executable, "-B", "-m", "pytest", "-q", "layout",
                           "--ctest", "layout.Nothing"], cwd=TESTS, capture_output=True,
                          text=True, check=False)
    assert done.returncode not in (0, 77), done.stdout
