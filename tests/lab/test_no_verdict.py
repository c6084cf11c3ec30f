# SPDX-License-Identifier: GPL-2.0-or-later
"""What says nothing of guest or VMM is no verdict, and the lab says what it is."""
import os
import shutil
import signal
import threading
import time

import pytest

from tests.support.lab import CANNOT_RUN, DONE, process_with, starve

pytestmark = [pytest.mark.nested, pytest.mark.ctest(timeout=1200, serial=True, each=True)]
# The loops are children of init that run on one isolated CPU each.
LOOPS = """\
loops() { for p in /proc/[0-9]*; do
    grep -qE '^Cpus_allowed_list:.[23]$' $p/status &&
    grep -q lab/agent $p/cmdline && echo ${p#/proc/}
done; }
"""


@pytest.mark.long
def test_slow_workload(lab):
    """A workload that takes longer than --timeout, but says something meanwhile."""
    lab.run("--modes", "off", "--timeout", "15", "--workload",
            lab.script("for i in 1 2 3 4 5; do echo $i; sleep 5; done\n"))
    assert lab.report()["runs"][0]["milliseconds"] > 20000


@pytest.mark.long
def test_missing_vcpus(lab):
    """Isolated vCPUs that do not come up are said at once: a guest without them would be
    silent until the timeout."""
    for append in "maxcpus=2", "nolapic", "acpi=off":
        said = lab.run("--modes", "hv", "--append", append, status=CANNOT_RUN)
        assert "online, without the isolated 2-3; see --append" in said


@pytest.mark.long
def test_loops_kept_from_spinning(lab):
    """What a workload does to the loops is not the guest's kernel's fault."""
    for text, what in (
            ("kill -STOP $(loops)\n", "is stopped"),
            ("kill -STOP $(loops); sleep 1; kill -CONT $(loops)\n",
             "was stopped or moved"),
            ("for p in $(loops); do taskset -p 1 $p; done\n", "was moved to vCPU 0"),
            ("kill -9 $(loops)\n", "has ended")):
        said = lab.run("--modes", "hv", "--workload", lab.script(LOOPS + text),
                       status=CANNOT_RUN)
        assert "kept the loops from spinning" in said
        assert what in said


@pytest.mark.long
def test_host_starves(lab):
    """A host that does not run the guest for 10 s makes its kernel complain of late
    ticks. That is no verdict, and a retry gets one."""
    name = f"starved-{os.getpid()}"
    logs = lab.folder / "logs"
    # The marker goes to the console, when loops spin and ticks are due.
    work = lab.script("echo '<0>lab: now' >/dev/kmsg; i=0\n"
                      "while [ $i -lt 20 ]; do echo $i; sleep 1; i=$((i + 1)); done\n")
    for retry in False, True:
        shutil.rmtree(logs, ignore_errors=True)
        starving = threading.Thread(target=starve, args=(
            logs / "off/console.log", name, b"lab: now", 10))
        starving.start()
        said = lab.run("--modes", "off", "--name", name, "--keep-logs", str(logs),
                       "--workload", work, "--retries", "1" if retry else "0",
                       status=DONE if retry else CANNOT_RUN)
        starving.join()
        assert "the host starved " in said
        assert "no verdict" in said
        report = lab.report()
        assert report.get("given_up") is None
        assert len(report["starved"]) == 1
        assert report["starved"][0]["retried"] is retry
        assert report["starved"][0]["milliseconds"] > 2000
        assert len(report["runs"]) == (1 if retry else 0)


def test_refused_command_line(lab):
    said = lab.run("--modes", "off", "--isolated", "2-4", status=CANNOT_RUN)
    assert "no CPU 4, the last one is 3" in said


@pytest.mark.long
def test_workload_fails(lab):
    said = lab.run("--modes", "off", "--workload",
                   lab.script("echo this went wrong; exit 3\n"), status=CANNOT_RUN)
    assert "workload workload.sh ended with status 3" in said
    assert "this went wrong" in said


def test_interrupted(lab):
    """SIGTERM in the middle: no QEMU, no folder and no segment stays behind."""
    temporary, segments = lab.folder / "tmp", lab.folder / "segments"
    temporary.mkdir()
    segments.mkdir()
    with lab.running("--shm-dir", str(segments), "lab", "run",
                     TMPDIR=str(temporary)) as process:
        # Long enough for a guest to run, short enough for it not to be done.
        time.sleep(6)
        assert os.listdir(temporary), "nothing has begun"
        assert os.listdir(segments), "no segment"
        process.terminate()
        assert process.wait() == 128 + signal.SIGTERM
    assert os.listdir(temporary) == []
    assert os.listdir(segments) == []
    # QEMU's command line has the sockets below that folder.
    assert process_with(str(temporary)) is None
