# SPDX-License-Identifier: GPL-2.0-or-later
"""A patched Linux guest that does, over its console, what a test says.

Environment: IPIDEFER_QEMU, the patched qemu-system-x86_64; IPIDEFER_KERNEL, a
folder with the bzImage of the patched kernel. The guest's root is busybox, the
init beside this file, and what the test adds.
"""
import os
import re
import shutil
import subprocess
import tempfile
import unittest

from machine import Failed, Machine

HERE = os.path.dirname(os.path.abspath(__file__))
QEMU = os.environ.get("IPIDEFER_QEMU", "")
KERNEL = os.path.join(os.environ.get("IPIDEFER_KERNEL", ""), "bzImage")
BUSYBOX = shutil.which("busybox") or ""
ROOT = {"init": os.path.join(HERE, "init"), "bin/busybox": BUSYBOX}
ISOLATED = (2, 3)
ISOLATION = ("nohz_full=2-3 isolcpus=managed_irq,domain,2-3 rcu_nocbs=2-3 "
             "irqaffinity=0-1 tsc=reliable")
BASE = "console=ttyS0 loglevel=5 panic=-1"
STATS = "/sys/kernel/debug/x86/ipi_defer/stats"
TROUBLE = re.compile(r"WARNING:|BUG:|Oops|rcu: INFO|refused registration")


def archive(path, files):
    """A cpio archive of {name: source file}, all of them programs."""
    with tempfile.TemporaryDirectory() as root:
        for name in "proc", "sys", "dev", "bin":
            os.mkdir(os.path.join(root, name))
        for name, source in files.items():
            target = os.path.join(root, name)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copyfile(source, target)
            os.chmod(target, 0o755)
        names = subprocess.run(["find", "."], cwd=root, check=True,
                               stdout=subprocess.PIPE).stdout
        with open(path, "wb") as out:
            subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], cwd=root,
                           input=names, stdout=out, check=True)


class Guest(Machine):
    """Isolated vCPUs 2 and 3; init beside this file obeys over the console."""

    def __init__(self, initrd, append="", cpu="max", defer="", more=(), **kwargs):
        """
        @param defer: more properties of the ipi-defer object; None: no object
        @param more: more of QEMU's arguments
        """
        self.console = []
        machine = [] if defer is None else [
            "-object", f"ipi-defer,id=d0,isolated-cpus=2-3{defer}"]
        super().__init__(QEMU, KERNEL, "-cpu", cpu, "-no-reboot",
                         "-initrd", initrd, "-append",
                         f"{BASE} {ISOLATION} generation=1 {append}",
                         *machine, *more, memory="512M", **kwargs)

    def started(self):
        self.wait_ready()

    def wait_ready(self, generation=1):
        while True:
            line = self.serial.receive().rstrip("\r")
            self.console.append(line)
            if TROUBLE.search(line):
                raise Failed("the guest is in trouble:\n" +
                             "\n".join(self.console[-20:]))
            if "== ready" in line:
                if not line.endswith(f"== ready {generation}"):
                    raise Failed(f"not in kernel {generation}:\n" +
                                 "\n".join(self.console[-20:]))
                return

    def run(self, command, generation=1):
        """Have the guest's shell run a command, until it has done so."""
        self.serial.send(command)
        self.wait_ready(generation)

    def lines_of(self, command):
        """The lines that a command printed."""
        begin = len(self.console)
        self.run(command)
        return self.console[begin:-1]

    def work_stats(self, work, cpu=ISOLATED[0]):
        """A row of the kernel's statistics, by its column names."""
        lines = self.lines_of(f"cat {STATS}")
        head = next(line for line in lines if line.startswith("cpu ")).split()
        for line in lines:
            row = dict(zip(head, line.split()))
            if row.get("cpu") == str(cpu) and row.get("work") == work:
                return {k: int(v, 0) for k, v in row.items() if k != "work"}
        raise Failed(f"no row for {work} of CPU {cpu}: {lines}")


class GuestCase(unittest.TestCase):
    """A test with a guest, self.m, and a folder, self.folder, for its time."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="ipidefer-linux-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def boot(self, append, files=None, **kwargs):
        """@param files: {name in the guest: file here}, beside the root's own
        @param kwargs: of Guest"""
        initrd = os.path.join(self.folder, "initrd")
        archive(initrd, {**ROOT, **(files or {})})
        self.m = Guest(initrd, append, **kwargs)
        self.addCleanup(self.m.close)


def missing(**more):
    """What a test needs and cannot be found, in words."""
    needed = {"IPIDEFER_QEMU": QEMU, "IPIDEFER_KERNEL": KERNEL,
              "busybox": BUSYBOX, "cpio": shutil.which("cpio") or "", **more}
    return [f"{name} is '{path}', which is not there"
            for name, path in needed.items() if not os.path.isfile(path)]
