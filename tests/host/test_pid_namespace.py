# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a VM lives is asked of the lock on its segment, not of its process ID: the
answer is the same in every PID namespace, where other processes, or none, have that
ID."""
import contextlib
import os
import subprocess
import time

import pytest

from tests.support import requirements
from tests.support.machine import Failed, wait_until
from tests.support.segment_tool import Tool

pytestmark = [pytest.mark.unit, pytest.mark.ctest(timeout=300)]
APART = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
if os.geteuid() != 0:
    APART[1:1] = ["--user", "--map-root-user"]
# What comes before a command: nothing, for this namespace.
PLACES = {"here": [], "apart": APART}


class ToolSomewhere(Tool):
    """The command, in this namespace or in one of its own."""

    def __init__(self, program, folder, place):
        super().__init__(program, folder)
        self._place = PLACES[place]

    def command(self, *args):
        return [*self._place, *super().command(*args)]


@pytest.fixture(scope="module", autouse=True)
def namespaces():
    requirements.program("unshare")
    tried = subprocess.run([*APART, "true"], stdin=subprocess.DEVNULL,
                           stderr=subprocess.PIPE, text=True, check=False)
    if tried.returncode != 0:
        pytest.skip(f"no PID namespace can be made here: {tried.stderr.strip()}")


@pytest.fixture
def tools(tmp_path):
    """{place: the command there}"""
    folder = tmp_path / "shm"
    folder.mkdir(0o700)
    program = requirements.path("IPIDEFER_CLI")
    return {place: ToolSomewhere(program, str(folder), place) for place in PLACES}


@pytest.fixture
def start(tools, tmp_path):
    """start(place): a VM "web" that is ready there. @return its process, or the one that
    waits for it."""
    vmm = requirements.path("IPIDEFER_TEST_VMM")
    with contextlib.ExitStack() as stack:
        def start_vm(place):
            said = tmp_path / "said"
            with open(said, "wb") as output:
                process = subprocess.Popen(
                    [*PLACES[place], vmm, "web", "--shm-dir", tools["here"].folder,
                     "--seconds", "600"], stdin=subprocess.DEVNULL, stdout=output,
                    stderr=output)
            stack.callback(process.wait)
            # unshare takes what it has started with it.
            stack.callback(process.kill)

            def ready():
                if process.poll() is not None:
                    raise Failed(f"a VM {place} does not start: {said.read_text()}")
                return "ready" in said.read_text()
            wait_until(f"a VM {place} starts", ready)
            return process
        yield start_vm


def states(tool):
    return [vm["state"] for vm in tool.json("list")["vms"] if vm["name"] == "web"]


def expect(tools, state):
    """What list says in either namespace, and whether stat works."""
    for tool in tools.values():
        assert states(tool) == [state]
        if state == "running":
            tool.run("stat", "web")


def test_the_same_in_every_pid_namespace(tools, start):
    # A VM that is first in its namespace has the PID 1, which lives everywhere.
    for place in "here", "apart", "apart", "here":
        process = start(place)
        expect(tools, "running")
        process.kill()
        process.wait()
        # Of one in a namespace, this was the parent that waits for it.
        deadline = time.monotonic() + 10
        while states(tools["here"]) == ["running"] and time.monotonic() < deadline:
            time.sleep(0.1)
        expect(tools, "stale")
