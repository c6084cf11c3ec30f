# SPDX-License-Identifier: GPL-2.0-or-later
"""Guests that go somewhere: streams, snapshots, and what must hold of what arrives."""
import time

import pytest

from tests.support.contract import ACCEPT, BIT, binding, word
from tests.support.machine import Failed

MOST_BINDINGS = 8       # of one vCPU
MOST_VECTORS = 32       # bound at a time in one VM


def save(vm, uri):
    """Have the machine migrate there, and end."""
    vm.qmp("migrate", uri=uri)
    vm.wait_migrated()
    vm.close()


def load(boot, uri, *args, **kwargs):
    """@return a machine that has loaded a stream"""
    vm = boot(*args, "-incoming", uri, boot=False, **kwargs)
    vm.wait_migrated()
    return vm


def refused_stream(boot, uri, **kwargs):
    """@return what QEMU says when it refuses to load a stream"""
    try:
        vm = boot("-incoming", uri, boot=False, **kwargs)
    except Failed as error:
        # It may be gone before its monitor was reached; then that is said.
        return str(error)
    try:
        vm.wait_migrated()
    except Failed as error:
        if vm.process.poll() is None:
            vm.process.wait(60)
        return f"{error}\n{vm.output()}"
    return pytest.fail("the stream was loaded")


def tamper(path, old, new):
    """Change what is once in a file."""
    data = path.read_bytes()
    assert data.count(old) == 1
    path.write_bytes(data.replace(old, new))


def job(vm, name, **arguments):
    """Run a job of QEMU's. @return its error, '' if there was none."""
    vm.qmp(name, job_id="job", **arguments)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for entry in vm.qmp("query-jobs"):
            if entry["id"] == "job" and entry["status"] == "concluded":
                vm.qmp("job-dismiss", id="job")
                return entry.get("error", "")
        time.sleep(0.02)
    return pytest.fail(f"{name} does not end")


def make_disk(boot, image):
    """@return options for a machine that can take snapshots, in this file"""
    image.touch()
    vm = boot()
    vm.qmp("blockdev-add", driver="file", node_name="f0", filename=str(image))
    assert job(vm, "blockdev-create",
               options={"driver": "qcow2", "file": "f0", "size": 64 << 20}) == ""
    vm.close()
    return ("-blockdev", "driver=qcow2,node-name=q0,file.driver=file,"
            f"file.filename={image}")


def snapshot(vm, what):
    """"save" or "load" it. @return the error, '' if there was none."""
    return job(vm, f"snapshot-{what}", tag="tag", vmstate="q0", devices=["q0"])


def bind(vm, cpu, vectors):
    """All to one word, each with a bit of its own."""
    vm.register(cpu, *(binding(word(cpu), v, bit=1 << 8 + i)
                       for i, v in enumerate(vectors)))


def assert_sound(vm):
    """No vCPU is half registered, and nothing of it is forgotten."""
    for cpu in vm.qmp("query-ipi-defer")["cpus"]:
        assert cpu["registered"] == bool(cpu["bindings"])
        assert len(cpu["bindings"]) <= MOST_BINDINGS


def assert_alive(vm):
    """A change of the memory map, a reset, and a guest that starts anew."""
    assert_sound(vm)
    vm.qmp("system_reset")
    if not vm.qmp("query-status")["running"]:
        vm.qmp("cont")
    vm.wait_ready()
    for cpu in vm.qmp("query-ipi-defer")["cpus"]:
        assert not cpu["registered"]
    vm.pam(0xd0000, 3)
    vm.pam(0xd0000, 0)
    vm.register(3)
    vm.w32(word(3), ACCEPT)
    vm.ipi(3)
    assert vm.r32(word(3)) == ACCEPT | BIT
