# SPDX-License-Identifier: GPL-2.0-or-later
"""setup/run-tests.py with a build of six tests: what is run again, what is not, and
what is left out."""
import os
import subprocess

import pytest

from tests.support.requirements import ROOT

pytestmark = [pytest.mark.unit, pytest.mark.ctest(timeout=60)]
# Each leaves a line when it runs.
TESTS = """\
add_test(fast sh -c "echo fast >>{0}/ran")
add_test(guest sh -c "echo guest >>{0}/ran")
add_test(model sh -c "echo model >>{0}/ran")
add_test(fails sh -c "echo fails >>{0}/ran; exit 1")
add_test(skipped sh -c "echo skipped >>{0}/ran; exit 77")
add_test(slow sh -c "echo slow >>{0}/ran")
set_tests_properties(guest fails PROPERTIES LABELS "nested")
set_tests_properties(model PROPERTIES LABELS "model")
set_tests_properties(skipped PROPERTIES LABELS "kvm" SKIP_RETURN_CODE 77)
set_tests_properties(slow PROPERTIES LABELS "nested;long")
"""
# ctest's, as one of the tests fails.
FAILED = 8
ALL_SHORT = "fails fast guest model skipped"


class Build:
    """A source and a build of it in a folder."""

    def __init__(self, folder):
        self.folder, self.source = folder, folder / "source"
        for name in "source/tests/model", "source/docs", "build":
            (folder / name).mkdir(parents=True)
        (folder / "build/CTestTestfile.cmake").write_text(TESTS.format(folder))

    def expect(self, ran, counted, *options, **environment):
        """@param ran: the names of those that run, and counted: the last line"""
        (self.folder / "ran").write_text("")
        done = subprocess.run(
            [ROOT / "setup/run-tests.py", "--source", self.source, "--build",
             self.folder / "build", "--cache", self.folder / "cache", *options],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
            env=os.environ | environment)
        names = sorted((self.folder / "ran").read_text().split())
        assert names == ran.split(), done.stdout
        assert counted in done.stdout.splitlines(), done.stdout
        assert done.returncode == FAILED, done.stdout


def test_runs_what_something_has_changed_for(tmp_path):
    build = Build(tmp_path)
    fresh = "6 tests: 3 passed, 1 failed, 1 were skipped, 0 not run again, 1 left out"
    # Nothing is known.
    build.expect(ALL_SHORT, fresh)
    # Nothing has changed.
    build.expect("fails fast skipped", "6 tests: 1 passed, 1 failed, 1 were skipped, "
                 "2 not run again, 1 left out")
    build.expect(ALL_SHORT, fresh, "--again")
    build.expect("fails fast skipped slow", "6 tests: 2 passed, 1 failed, 1 were skipped, "
                 "2 not run again, 0 left out", "--all")
    # What is long has passed.
    build.expect("fails fast skipped", "6 tests: 1 passed, 1 failed, 1 were skipped, "
                 "3 not run again, 0 left out")
    build.expect(f"{ALL_SHORT} slow", "6 tests: 4 passed, 1 failed, 1 were skipped, "
                 "0 not run again, 0 left out", "--all", "--again")
    # Prose is no input.
    (build.source / "docs/page.md").write_text("prose\n")
    build.expect("fails fast skipped", "6 tests: 1 passed, 1 failed, 1 were skipped, "
                 "3 not run again, 0 left out")
    # A source has changed, not the model.
    not_the_model = ("6 tests: 2 passed, 1 failed, 1 were skipped, 1 not run again, "
                     "1 left out")
    (build.source / "code.c").write_text("code\n")
    build.expect("fails fast guest skipped", not_the_model)
    build.expect("fails fast guest skipped", not_the_model, IPIDEFER_QEMU="/another")
    (build.source / "tests/model/m.pml").write_text("model\n")
    build.expect(ALL_SHORT, fresh)
    # A mode has changed.
    (build.source / "code.c").chmod(0o755)
    build.expect("fails fast guest skipped", not_the_model)
