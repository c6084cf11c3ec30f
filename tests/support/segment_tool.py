# SPDX-License-Identifier: GPL-2.0-or-later
"""What an operator sees of a VM: the ipidefer command, on a folder of segments."""
import json
import os
import re
import signal
import subprocess
import tempfile
import time

from tests.support.contract import ACCEPT, BIT, VECTOR, word
from tests.support.machine import TIMEOUT, Failed


class Tool:
    """Calls ipidefer; 0 is the status it must end with if nothing else is said."""

    def __init__(self, program, folder):
        self.program, self.folder = program, folder

    def command(self, *args):
        return [self.program, "--shm-dir", self.folder, *args]

    def run(self, *args, status=0, timeout=TIMEOUT):
        """@return what it printed, on standard output and error."""
        done = subprocess.run(self.command(*args), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=timeout, check=False)
        if done.returncode != status:
            raise Failed(f"ipidefer {' '.join(args)}: status "
                         f"{done.returncode}, not {status}\n{done.stdout}")
        return done.stdout

    def json(self, *args, status=0):
        return json.loads(self.run(*args, "--json", status=status))

    def list(self):
        """By name."""
        return {vm["name"]: vm for vm in self.json("list")["vms"]}

    def stat(self, name):
        return self.json("stat", name)[0]

    def counts(self, name):
        """(vCPU, vector, verdict) -> how many, where there are any."""
        status = self.stat(name)
        assert status["out_of_range"] == []
        return {(vcpu["vcpu"], row["vector"], verdict): n
                for vcpu in status["vcpus"] for row in vcpu["counters"]
                for verdict, n in row.items()
                if verdict not in ("vector", "name") and n}

    def policy(self, name, *changes):
        return self.json("policy", name, *changes)

    def files(self):
        """In the folder, without the random numbers of segments."""
        return sorted(re.sub("~[0-9a-f]{8}$", "~", name)
                      for name in os.listdir(self.folder))

    def path(self, name="web1"):
        """The file of a VM."""
        found = [file for file in os.listdir(self.folder)
                 if file.startswith(f"ipidefer.{name}~")]
        assert len(found) == 1
        return os.path.join(self.folder, found[0])


class Trace:
    """`ipidefer trace`, running for as long as this context."""

    def __init__(self, tool, name, *args):
        self._tool, self._name, self._args = tool, name, args
        self.events = []

    def __enter__(self):
        self._out = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(
            self._tool.command("trace", self._name, "--json", *self._args),
            stdin=subprocess.DEVNULL, stdout=self._out,
            stderr=subprocess.STDOUT)
        deadline = time.monotonic() + TIMEOUT
        while not self._tool.policy(self._name)["trace"]:
            if self._process.poll() is not None:
                raise Failed(f"ipidefer trace ended: {self._read()}")
            if time.monotonic() > deadline:
                raise Failed("nothing is traced")
            time.sleep(0.01)
        return self

    def _read(self):
        self._out.seek(0)
        return self._out.read()

    def __exit__(self, kind, *_):
        # Not SIGINT, which may be ignored here: it is by what a shell without job
        # control runs in the background, and whatever that starts.
        self._process.send_signal(signal.SIGTERM)
        try:
            status = self._process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        text = self._read()
        self._out.close()
        if kind is None and status:
            raise Failed(f"ipidefer trace: status {status}\n{text}")
        if kind is None:
            self.events = [json.loads(line) for line in text.splitlines()]

    def verdicts(self):
        """As Tool.counts()."""
        counts = {}
        for event in self.events:
            if event["event"] == "ipi_verdict":
                verdict = event["verdict"]
                if event["reason"] == "max-age":
                    verdict = "max-age"
                elif event["reason"]:
                    verdict += "-" + event["reason"]
                key = event["cpu"], event["vector"], verdict
                counts[key] = counts.get(key, 0) + 1
        return counts


def since(after, before):
    """What was counted in between."""
    return {key: n - before.get(key, 0) for key, n in after.items()
            if n != before.get(key, 0)}


def qmp_counts(vm):
    """As Tool.counts(), by QMP."""
    return {(cpu["cpu-index"], row["vector"], verdict): n
            for cpu in vm.qmp("query-ipi-defer")["cpus"]
            for row in cpu["counters"] for verdict, n in row.items()
            if verdict not in ("vector", "merged") and n}


# What becomes of one IPI to CPU 3 of "web1".

def recorded(vm, tool):
    taken, before = vm.taken(3, VECTOR), tool.counts("web1")
    vm.w32(word(3), ACCEPT)
    vm.ipi(3)
    assert since(tool.counts("web1"), before) == {(3, VECTOR, "deferred"): 1}
    assert vm.r32(word(3)) == ACCEPT | BIT
    assert vm.taken(3, VECTOR) == taken


def delivered(vm, tool, reason):
    taken, before = vm.taken(3, VECTOR), tool.counts("web1")
    vm.w32(word(3), ACCEPT)
    vm.ipi(3)
    assert since(tool.counts("web1"), before) == {(3, VECTOR, f"delivered-{reason}"): 1}
    assert vm.r32(word(3)) == ACCEPT
    assert vm.taken(3, VECTOR) == taken + 1
