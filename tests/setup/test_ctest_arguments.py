# SPDX-License-Identifier: GPL-2.0-or-later
"""A mistyped argument of ./check is refused: ctest would run everything, for hours."""
import subprocess
import sys

import pytest

from tests.support.requirements import ROOT

sys.path.insert(0, str(ROOT / "setup"))
import ctest_arguments  # noqa: E402  pylint: disable=wrong-import-position

pytestmark = pytest.mark.unit
HELP = subprocess.run(["ctest", "--help"], stdout=subprocess.PIPE, text=True,
                      check=True).stdout
KNOWN = ctest_arguments.options_in(HELP)


@pytest.mark.parametrize("arguments", [
    "-L unit", "-R NAME -LE soak", "-N", "-j 4", "-j4 -V", "--show-only=json-v1",
    "--rerun-failed --output-on-failure", "--repeat until-fail:3 -R x", "--timeout 5",
    "--no-tests=ignore", "-I 1,5", "-E -odd", "--print-labels"])
def test_what_ctest_knows_is_taken(arguments):
    assert ctest_arguments.misfit(arguments.split(), KNOWN) is None


@pytest.mark.parametrize("arguments, wrong", [
    ("--al", "--al"), ("--nosuch", "--nosuch"), ("unit", "unit"), ("-L unit qemu", "qemu"),
    ("-l unit", "-l"), ("-R x --again", "--again"), ("-jx", "-jx")])
def test_what_it_would_ignore_is_named(arguments, wrong):
    assert ctest_arguments.misfit(arguments.split(), KNOWN) == wrong


def test_check_says_so_before_it_sets_anything_up():
    done = subprocess.run([ROOT / "check", "--al"], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False, timeout=30)
    assert done.returncode == 2
    assert done.stdout == ("check: '--al' is neither an option of check nor of ctest, which "
                           "would run every test; see check --help\n")
