# SPDX-License-Identifier: GPL-2.0-or-later
"""A sweep: the same with other machines and kernels."""
import signal
import subprocess

import pytest

from tests.support.children import mortal
from tests.support.lab import CANNOT_RUN
from tests.support.machine import wait_until

pytestmark = [pytest.mark.nested, pytest.mark.ctest(timeout=1200, serial=True, each=True)]
QUICK = ("--modes", "hv", "--isolated", "2", "--workload", "static-keys")


def test_each_point_is_an_experiment(lab):
    said = lab.run(*QUICK, "--sweep", "cpus=3,4", "--sweep", "append=|lab_says=hello")
    report = lab.report()
    points = [{"cpus": cpus, "append": append}
              for cpus in ("3", "4") for append in ("", "lab_says=hello")]
    assert report["sweep"] == points
    assert [run["factors"] for run in report["runs"]] == points
    for guest in report["provenance"]["guests"]:
        command = guest["qemu_command_line"]
        assert command[command.index("-smp") + 1] == guest["factors"]["cpus"]
        assert ("lab_says=hello" in guest["kernel_command_line"].split()) == \
            bool(guest["factors"]["append"])
    assert "workload static-keys, cpus=4, append=lab_says=hello, isolated vCPUs 2" in said
    assert "workload static-keys, by cpus: interrupts that they took" in said
    assert "workload static-keys, by append: interrupts that they took" in said


def test_an_interrupted_sweep_loses_nothing(lab):
    logs = lab.folder / "logs"
    process = subprocess.Popen(
        mortal([lab.program, "lab", "run", *QUICK, "--sweep", "cpus=3,4", "--retries", "3",
                "--json", str(lab.report_file), "--keep-logs", str(logs)], "TERM"),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        # The first has ended by the time that the second begins.
        wait_until("the second guest", (logs / "point-2-hv/console.log").exists, 600)
    finally:
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate()
    assert process.returncode == 128 + signal.SIGTERM
    report = lab.report()
    assert [run["factors"] for run in report["runs"]] == [{"cpus": "3"}]
    assert report["sweep"] == [{"cpus": "3"}, {"cpus": "4"}]
    assert "workload static-keys, by cpus" in said


def test_what_cannot_be_swept_is_refused_at_once(lab):
    for sweep, why in (("cpu=4,8", "--sweep: 'cpu' is none of append, cpus"),
                       ("cpus=4,65", "--cpus: 65 is not within 2 and 64")):
        assert why in lab.run(*QUICK, "--sweep", sweep, status=CANNOT_RUN)
