# SPDX-License-Identifier: GPL-2.0-or-later
"""setup/run-tests.py with a build of eight tests: what is run again, what is not, and
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
add_test(deep sh -c "echo deep >>{0}/ran")
add_test(partly sh -c "echo partly >>{0}/ran; echo 'skipped: no KVM (1 tests)'")
set_tests_properties(guest fails PROPERTIES LABELS "nested")
set_tests_properties(model PROPERTIES LABELS "model")
set_tests_properties(skipped PROPERTIES LABELS "kvm" SKIP_RETURN_CODE 77)
set_tests_properties(slow PROPERTIES LABELS "nested;long")
set_tests_properties(deep PROPERTIES LABELS "nested;soak")
set_tests_properties(partly PROPERTIES LABELS "nested")
"""
# ctest's, as one of the tests fails.
FAILED = 8
ALL_SHORT = "fails fast guest model partly skipped"


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

    def counted(passed, again, left):
        # What was skipped in part is no pass.
        return (f"8 tests: {passed - 1} passed, 1 in part, 1 failed, 1 were skipped, {again} not "
                f"run again, {left} left out")
    fresh = counted(4, 0, 2)
    # Nothing is known.
    build.expect(ALL_SHORT, fresh)
    # Nothing has changed. What was skipped in part is run again.
    build.expect("fails fast partly skipped", counted(2, 2, 2))
    build.expect("fails fast partly skipped", "1 passed in part, and skipped the rest: partly")
    build.expect(ALL_SHORT, fresh, "--again")
    build.expect("fails fast partly skipped slow", counted(3, 2, 1), "--all")
    # What is long has passed.
    build.expect("fails fast partly skipped", counted(2, 3, 1))
    build.expect(f"{ALL_SHORT} slow", counted(5, 0, 1), "--all", "--again")
    build.expect("deep fails fast partly skipped", counted(3, 3, 0), "--soak")
    # Prose is no input.
    (build.source / "docs/page.md").write_text("prose\n")
    build.expect("fails fast partly skipped", counted(2, 4, 0))
    # A source has changed, not the model.
    not_the_model = counted(3, 1, 2)
    (build.source / "code.c").write_text("code\n")
    build.expect("fails fast guest partly skipped", not_the_model)
    build.expect("fails fast guest partly skipped", not_the_model, IPIDEFER_QEMU="/another")
    (build.source / "tests/model/m.pml").write_text("model\n")
    build.expect(ALL_SHORT, fresh)
    # ctest's own arguments: what passed in part is told apart there too.
    asked = ("--ctest", "-R", "partly|fails")
    build.expect("fails partly", "0 passed, 1 in part, 1 failed, 0 were skipped", *asked)
    build.expect("fails partly", "1 passed in part, and skipped the rest: partly", *asked)
    # An editor's lock leads nowhere; a mode has changed.
    (build.source / ".#code.c").symlink_to("somebody@somewhere")
    (build.source / "code.c").chmod(0o755)
    build.expect("fails fast guest partly skipped", not_the_model)
