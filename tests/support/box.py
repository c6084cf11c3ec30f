# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests that need a KVM run in the box where this machine has none for them.

The box (`ipidefer lab box`) is a KVM host under TCG with this machine's files. A pytest
there runs the tests, and what it reports is reported here, as of tests that ran here.
"""
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.support import requirements

# What Linux under KVM is: possible on this machine, or in the box. The lab reads it too.
VARIABLE = "IPIDEFER_KVM"
WHOLE, BOX = "whole", "box"
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
    """Whether what a test needs of KVM is there, but not on this machine."""
    if item.get_closest_marker("kvm_linux"):
        return not whole_kvm()
    return bool(item.get_closest_marker("kvm") and requirements.without_kvm())


class Relay:
    """Runs in the box what is to run there, and the rest here."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session):
        config = session.config
        if config.option.collectonly or session.testsfailed:
            return
        try:
            boxed = [item for item in session.items if wants_box(item)]
        except pytest.skip.Exception:
            # Each test says itself what it misses.
            return
        if not boxed:
            return
        session.items[:] = [item for item in session.items if item not in set(boxed)]
        run_in_box(session, boxed)


def run_in_box(session, items):
    config = session.config
    with tempfile.TemporaryDirectory(prefix="ipidefer-box-") as folder:
        reports = Path(folder, "reports")
        ended = subprocess.run(
            [requirements.path("IPIDEFER_CLI"), "lab", "box", "--share", folder,
             # For what is to be left alone; tests choose by themselves where else they run.
             "--append", "nohz_full=2-3 rcu_nocbs=2-3", "--",
             "env", f"{REPORTS}={reports}", f"{VARIABLE}={WHOLE}", sys.executable, "-B",
             "-m", "pytest", "--quiet", "--rootdir", str(config.rootpath),
             *(item.nodeid for item in items)],
            cwd=config.rootpath, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
        lines = reports.read_text().splitlines() if reports.exists() else []
    done = set()
    for line in lines:
        report = config.hook.pytest_report_from_serializable(
            config=config, data=json.loads(line))
        if report.when == "setup":
            config.hook.pytest_runtest_logstart(nodeid=report.nodeid,
                                                location=report.location)
        config.hook.pytest_runtest_logreport(report=report)
        if report.when == "teardown":
            done.add(report.nodeid)
            config.hook.pytest_runtest_logfinish(nodeid=report.nodeid,
                                                 location=report.location)
    if missing := [item.nodeid for item in items if item.nodeid not in done]:
        raise pytest.UsageError(
            f"the box ended with {ended.returncode}, without {', '.join(missing)}:\n"
            f"{ended.stdout}")


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
