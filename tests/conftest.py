# SPDX-License-Identifier: GPL-2.0-or-later
"""What concerns all tests: which of them run, and how a run ends."""
import collections
import pathlib
import tempfile

import pytest

# Asserts of the helpers show their values, too.
pytest.register_assert_rewrite("tests.support")

from tests.support import box, ctest, requirements  # noqa: E402
from tests.support.segment_tool import Tool  # noqa: E402

# What ctest takes for skipped (SKIP_RETURN_CODE).
SKIPPED = 77


def pytest_addoption(parser):
    parser.addoption("--ctest", metavar="NAME", action="append", default=[],
                     help="run the tests of an entry of ctest")


def pytest_configure(config):
    requirements.read_what_was_built()
    config.pluginmanager.register(Outcome(), "outcome")
    box.configure(config)


def pytest_collection_modifyitems(config, items):
    wanted = config.getoption("--ctest")
    if not wanted:
        return
    chosen = [item for item in items if ctest.name_of(item) in wanted]
    others = [item for item in items if item not in set(chosen)]
    config.hook.pytest_deselected(items=others)
    items[:] = chosen


@pytest.fixture
def tmp_path():
    """A folder for the time of a test. Unlike pytest's own it is gone then: guests leave
    hundreds of megabytes."""
    with tempfile.TemporaryDirectory(prefix="ipidefer-test-",
                                     ignore_cleanup_errors=True) as folder:
        yield pathlib.Path(folder)


@pytest.fixture(scope="session")
def qemu():
    """The patched QEMU."""
    return requirements.path("IPIDEFER_QEMU")


@pytest.fixture(scope="session")
def stock():
    """An unpatched build of the same QEMU, for the comparisons."""
    return requirements.path("IPIDEFER_QEMU_STOCK")


@pytest.fixture(scope="session")
def kernel():
    """The folder of the patched kernel's build."""
    requirements.path("IPIDEFER_KERNEL", "bzImage")
    return requirements.path("IPIDEFER_KERNEL")


@pytest.fixture(scope="class")
def tool():
    """A folder for segments, as `ipidefer` sees it."""
    program = requirements.path("IPIDEFER_CLI")
    with tempfile.TemporaryDirectory(prefix="ipidefer-segment-") as folder:
        yield Tool(program, folder)


class Outcome:
    """Whether anything was run at all, and why what was skipped was."""

    def __init__(self):
        self.skipped, self.run = collections.Counter(), 0

    def pytest_runtest_logreport(self, report):
        if report.skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else "?"
            self.skipped[reason.removeprefix("Skipped: ")] += 1
        elif report.when == "call":
            self.run += 1

    def pytest_terminal_summary(self, terminalreporter):
        for reason, count in self.skipped.items():
            terminalreporter.write_line(f"skipped: {reason} ({count} tests)")

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session, exitstatus):
        if exitstatus == 0 and self.skipped and not self.run:
            session.exitstatus = SKIPPED
