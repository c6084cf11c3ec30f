# SPDX-License-Identifier: GPL-2.0-or-later
"""A patched Linux guest that does, over a serial port, what a test says.

Environment: IPIDEFER_QEMU, the patched qemu-system-x86_64; IPIDEFER_KERNEL, a
folder with the bzImage of the patched kernel. The guest's root is busybox, the
init beside this file, and what the test adds.

The kernel has another serial port as its console: what it says at a time of its
own choosing, as that an interrupt took long on a busy host, is never among the
lines that a command printed.
"""
import os
import re
import shutil
import subprocess
import tempfile
import time
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
# Whether timer interrupts come in time says something of the host only; without
# no_timer_check the kernel panics where they do not.
BASE = "console=ttyS1 commands=ttyS0 loglevel=5 panic=-1 no_timer_check"
STATS = "/sys/kernel/debug/x86/ipi_defer/stats"
TROUBLE = re.compile(r"WARNING:|BUG:|Oops|rcu: INFO|refused registration")
# That the tick which a housekeeping vCPU does for an isolated one came more than 3 s
# late: the host did not run the former. It says nothing of the guest.
STARVED = re.compile(r"WARNING: .* sched_tick_remote\+")
# How long a guest may take to boot, or for a command, on a host that is busy.
PATIENCE = 300.0


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
    """Isolated vCPUs 2 and 3; init beside this file obeys over a serial port."""

    def __init__(self, initrd, append="", cpu="max", defer="", more=(),
                 memory="512M", **kwargs):
        """
        @param defer: more properties of the ipi-defer object; None: no object
        @param more: more of QEMU's arguments
        """
        machine = [] if defer is None else [
            "-object", f"ipi-defer,id=d0,isolated-cpus=2-3{defer}"]
        self.launch(KERNEL, "-cpu", cpu, "-no-reboot",
                    "-initrd", initrd, "-append",
                    f"{BASE} {ISOLATION} generation=1 {append}",
                    *machine, *more, memory=memory, **kwargs)

    def launch(self, kernel, *args, **kwargs):
        """QEMU, with a second serial port, which the kernel says things to."""
        self._said = tempfile.NamedTemporaryFile("r", prefix="ipidefer-console-",
                                                 errors="replace")
        # The lines that the kernel has said, and what may become one more.
        self.console, self._partial = [], ""
        super().__init__(QEMU, kernel, *args, "-serial",
                         f"file:{self._said.name}", **kwargs)

    def close(self):
        super().close()
        self._said.close()

    def started(self):
        self.wait_ready()

    def watch(self):
        """Read what the kernel has said, and raise Failed if that is trouble."""
        *lines, self._partial = (self._partial + self._said.read()).split("\n")
        for line in lines:
            self.console.append(line.rstrip("\r"))
            self.look_at(line)

    def look_at(self, line):
        if TROUBLE.search(line) and not STARVED.search(line):
            raise self.failed("the guest is in trouble")

    def failed(self, why):
        return Failed("\n".join([f"{why}:", *self.console[-20:]]))

    def wait_ready(self, generation=1):
        """@return the lines that the last command printed"""
        lines = []
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                line = self.serial.poll(1)
            except Failed as error:
                self.watch()
                raise self.failed(error) from error
            self.watch()
            if line is None:
                if time.monotonic() > deadline:
                    raise self.failed(f"nothing after {PATIENCE} s, but {lines}")
                continue
            line = line.rstrip("\r")
            self.look_at(line)
            if "== ready" not in line:
                lines.append(line)
                continue
            if not line.endswith(f"== ready {generation}"):
                raise self.failed(f"not in kernel {generation}, but '{line}'")
            return lines

    def run(self, command, generation=1):
        """Have the guest's shell run a command, until it has done so."""
        self.lines_of(command, generation)

    def lines_of(self, command, generation=1):
        """The lines that a command printed."""
        self.serial.send(command)
        return self.wait_ready(generation)

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


def kernel_symbols():
    """The kernel's symbols by ascending address, as pairs of address and name."""
    with open(os.path.join(os.path.dirname(KERNEL), "System.map")) as lines:
        return sorted((int(address, 16), name) for address, _, name in
                      (line.split() for line in lines))


def missing(**more):
    """What a test needs and cannot be found, in words."""
    needed = {"IPIDEFER_QEMU": QEMU, "IPIDEFER_KERNEL": KERNEL,
              "busybox": BUSYBOX, "cpio": shutil.which("cpio") or "", **more}
    return [f"{name} is '{path}', which is not there"
            for name, path in needed.items() if not os.path.isfile(path)]
