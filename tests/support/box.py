# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests that need a KVM run in the box where this machine has none for them.

The box (`ipidefer lab box`) is a KVM host under TCG with this machine's files. A pytest
there runs the tests, and what it reports is reported here, as of tests that ran here.
"""
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.support import requirements
from tests.support.children import mortal

# What Linux under KVM is: possible on this machine, or in the box. The lab reads it too.
VARIABLE = "IPIDEFER_KVM"
WHOLE, BOX = "whole", "box"
# Seconds without a report. Each test gives up by itself before that.
LONGEST_SILENCE = 900
# In the box: the file for reports, one in a line.
REPORTS = "IPIDEFER_BOX_REPORTS"


def whole_kvm():
    """Whether Linux boots under this machine's KVM, as the lab finds out, once."""
    if not os.environ.get(VARIABLE):
        requirements.path("IPIDEFER_QEMU")
        requirements.path("IPIDEFER_KERNEL")
        found = subprocess.run([requirements.path("IPIDEFER_CLI"), "lab", "kvm"],
                               stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True, check=False)
        if found.returncode not in (0, 77):
            pytest.fail(f"ipidefer lab kvm: {found.stderr}", pytrace=False)
        os.environ[VARIABLE] = BOX if found.returncode else WHOLE
    return os.environ[VARIABLE] == WHOLE


def wants_box(item):
    """Whether a test is to go where there is a KVM for it. One that needs no Linux goes
    there when somebody asks for it (VARIABLE is BOX): there are hundreds of them, and what
    is emulated twice is slow."""
    if item.get_closest_marker("decided"):
        return not requirements.kvm_decides()
    if item.get_closest_marker("kvm_linux"):
        return not whole_kvm() or bool(item.get_closest_marker("in_box"))
    return bool(item.get_closest_marker("kvm") and requirements.without_kvm() and
                os.environ.get(VARIABLE) == BOX)


class Relay:
    """Runs in the box what is to run there, and the rest here."""

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtestloop(self, session):
        boxed = []
        if not session.config.option.collectonly and not session.testsfailed:
            # Where something is missing, each test says itself what.
            with contextlib.suppress(pytest.skip.Exception):
                boxed = [item for item in session.items if wants_box(item)]
        session.items[:] = [item for item in session.items if item not in set(boxed)]
        yield
        if boxed:
            run_in_box(session, boxed)


def run_in_box(session, items):
    """Runs tests in the box, and reports them. It is an error if the box ends, or stands
    still, before it has come to all of them."""
    config = session.config
    why, lines = one_box(config, [item.nodeid for item in items])
    done = replay(config, lines)
    if left := [item.nodeid for item in items if item.nodeid not in done]:
        raise pytest.UsageError(f"the box {why}\n---- without: {', '.join(left)}")


def one_box(config, names):
    """@return what became of the box, and the reports, one in a line"""
    with tempfile.TemporaryDirectory(prefix="ipidefer-box-") as folder:
        reports, console, output = (Path(folder, name)
                                    for name in ("reports", "console", "output"))
        reports.touch()
        with open(output, "wb") as out:
            box = subprocess.Popen(
                mortal([requirements.path("IPIDEFER_CLI"), "lab", "box", "--share", folder,
                        "--console", str(console),
                        # For what is to be left alone, by the box's devices too; tests
                        # choose by themselves where else they run.
                        "--append", "nohz_full=2-3 rcu_nocbs=2-3 irqaffinity=0-1", "--",
                        "env", f"{REPORTS}={reports}", f"{VARIABLE}={WHOLE}",
                        sys.executable, "-B", "-m", "pytest", "--quiet",
                        "--rootdir", str(config.rootpath), *names], "TERM"),
                cwd=config.rootpath, stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.STDOUT)
            try:
                why = wait_for_end(box, reports)
            finally:
                box.terminate()
                box.wait()
        said = "".join(f"\n---- its {file.name}\n{file.read_text(errors='replace')[-6000:]}"
                       for file in (output, console) if file.exists())
        return why + said, reports.read_text().splitlines()


def wait_for_end(box, reports):
    """@return what became of it; it may still run"""
    size, since = 0, time.monotonic()
    while time.monotonic() - since < LONGEST_SILENCE:
        try:
            return f"ended with {box.wait(1)}"
        except subprocess.TimeoutExpired:
            if reports.stat().st_size > size:
                size, since = reports.stat().st_size, time.monotonic()
    return f"stood still for {LONGEST_SILENCE} s"


def replay(config, lines):
    """Report here what was reported in the box.

    @return the tests that have come to their end; of others nothing is reported
    """
    reports = [config.hook.pytest_report_from_serializable(config=config,
                                                           data=json.loads(line))
               for line in lines]
    done = {report.nodeid for report in reports if report.when == "teardown"}
    for report in reports:
        if report.nodeid not in done:
            continue
        where = {"nodeid": report.nodeid, "location": report.location}
        if report.when == "setup":
            config.hook.pytest_runtest_logstart(**where)
        config.hook.pytest_runtest_logreport(report=report)
        if report.when == "teardown":
            config.hook.pytest_runtest_logfinish(**where)
    return done


class Reporter:
    """In the box: writes down what becomes of each test."""

    def __init__(self, config, path):
        self.config, self.path = config, path

    def pytest_runtest_logreport(self, report):
        data = self.config.hook.pytest_report_to_serializable(config=self.config,
                                                              report=report)
        with open(self.path, "a", encoding="utf-8") as out:
            out.write(json.dumps(data) + "\n")


def configure(config):
    """Called for each pytest, here and in the box."""
    if path := os.environ.get(REPORTS):
        config.pluginmanager.register(Reporter(config, path), "box-reporter")
    else:
        config.pluginmanager.register(Relay(), "box-relay")
