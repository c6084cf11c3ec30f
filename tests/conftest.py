# SPDX-License-Identifier: GPL-2.0-or-later
"""What concerns all tests: which of them run, and how a run ends."""
import pytest

# Asserts of the helpers show their values, too.
pytest.register_assert_rewrite("tests.support")

from tests.support import ctest, requirements  # noqa: E402

# What ctest takes for skipped (SKIP_RETURN_CODE).
SKIPPED = 77


def pytest_addoption(parser):
    parser.addoption("--ctest", metavar="NAME", action="append", default=[],
                     help="run the tests of an entry of ctest")


def pytest_configure(config):
    requirements.read_what_was_built()
    config.pluginmanager.register(Outcome(), "outcome")


def pytest_collection_modifyitems(config, items):
    wanted = config.getoption("--ctest")
    if not wanted:
        return
    chosen = [item for item in items if ctest.name_of(item) in wanted]
    others = [item for item in items if item not in set(chosen)]
    config.hook.pytest_deselected(items=others)
    items[:] = chosen


class Outcome:
    """Whether anything was run at all."""

    def __init__(self):
        self.skipped = self.run = 0

    def pytest_runtest_logreport(self, report):
        if report.skipped:
            self.skipped += 1
        elif report.when == "call":
            self.run += 1

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session, exitstatus):
        if exitstatus == 0 and self.skipped and not self.run:
            session.exitstatus = SKIPPED
