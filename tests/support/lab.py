# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipidefer lab run`, with a report and workloads of a test's own."""
import contextlib
import json
import os
import signal
import subprocess
import time

from tests.support.children import mortal
from tests.support.schema import Schema

# Its exit statuses (base/failure.hpp).
DONE, CANNOT_RUN, DEFECT = 0, 1, 2
# Rows of /proc/interrupts of typed interrupts.
TYPED_ROWS = ("DSC", "DTL")
ISOLATED = (2, 3)


class Lab:
    """The lab, in a folder. ctest bounds each test; the lab's --timeout is only given
    where silence is what the test is about."""

    def __init__(self, program, folder):
        self.program, self.folder = program, folder
        self.report_file = folder / "report.json"
        self.schema = Schema("ipidefer-lab/1")

    def run(self, *more, status=DONE):
        """`ipidefer lab run` with a report; whatever else it is given."""
        command = [self.program, "lab", "run", "--json", str(self.report_file)]
        # That the host had other things to run says nothing of the guest.
        if "--retries" not in more:
            command += ["--retries", "3"]
        done = subprocess.run(mortal([*command, *more], "TERM"), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, check=False)
        print(done.stdout)
        assert done.returncode == status, done.stdout
        return done.stdout

    def report(self):
        """@return what the lab wrote, which is what its schema says"""
        report = json.loads(self.report_file.read_text())
        assert self.schema.complaints(report) == []
        return report

    def script(self, text):
        """@return a script that is run as a workload"""
        file = self.folder / "workload.sh"
        file.write_text(text)
        return str(file)

    @contextlib.contextmanager
    def running(self, *arguments, **environment):
        """The lab beside the test; it is ended if it has not ended by then."""
        process = subprocess.Popen(mortal([self.program, *arguments], "TERM"),
                                   stdin=subprocess.DEVNULL, env=os.environ | environment)
        try:
            yield process
        finally:
            process.terminate()
            process.wait()


def events(run, callback):
    """How often the guest saw this aimed at its isolated vCPUs."""
    return run["guest"]["events"].get(callback, 0)


def assert_undisturbed(run, typed_row):
    """A typed interrupt needs another one that has the vCPU in the kernel, but where it
    is sent again, past whoever defers."""
    interrupts = run["guest"]["interrupts"]
    sees_all = run["mode"] == "hv" and run["vmm"]["icr"]
    again = 0 if sees_all else run["guest"]["resent"]
    others = sum(taken for row, taken in interrupts.items() if row not in TYPED_ROWS)
    assert interrupts[typed_row] <= others + again, run["mode"]


def process_with(text):
    """@return a process with this in its command line, or None"""
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                if text.encode() in file.read():
                    return int(name)
        except OSError:
            pass    # It has ended meanwhile.
    return None


def starve(console, name, when, seconds):
    """Stops the guest of that name for so long, once it has printed `when`."""
    for _ in range(2400):
        time.sleep(0.1)
        qemu = process_with(f"guest={name}\0")
        if qemu is None or not console.exists() or when not in console.read_bytes():
            continue
        os.kill(qemu, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(qemu, signal.SIGCONT)
        return
