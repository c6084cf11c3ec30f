# SPDX-License-Identifier: GPL-2.0-or-later
"""A patched Linux guest that does, over a serial port, what a test says.

Its root is busybox, tests/linux/init, and what the test adds.

The kernel has another serial port as its console: what it says at a time of its
own choosing, as that an interrupt took long on a busy host, is never among the
lines that a command printed.
"""
import os
import re
import tempfile
import time

from tests.support import whereabouts
from tests.support.machine import Failed, Machine

ISOLATED = (2, 3)
ISOLATION = ("nohz_full=2-3 isolcpus=managed_irq,domain,2-3 rcu_nocbs=2-3 "
             "irqaffinity=0-1 tsc=reliable")
# Whether timer interrupts come in time says something of the host only; without
# no_timer_check the kernel panics where they do not.
BASE = "console=ttyS1 commands=ttyS0 loglevel=5 panic=-1 no_timer_check"
STATS = "/sys/kernel/debug/x86/ipi_defer/stats"
# What no kernel says that is well, but for tests that have one panic. For shell scripts:
# tests/guest-lib.sh.
KERNEL_TROUBLE = "WARNING:|BUG:|Oops|rcu: INFO"
TROUBLE = re.compile(f"{KERNEL_TROUBLE}|refused registration")
# That the tick which a housekeeping vCPU does for an isolated one came more than 3 s
# late: the host did not run the former. It says nothing of the guest.
STARVED = re.compile(r"WARNING: .* sched_tick_remote\+")
# How long a guest may take to boot, or for a command, on a host that is busy.
PATIENCE = 300.0


class Guest(Machine):
    """Isolated vCPUs 2 and 3; tests/linux/init obeys over a serial port."""

    def __init__(self, qemu, kernel, initrd, append="", cpu="max", defer="", more=(),
                 memory="512M", counted=True, **kwargs):
        """
        @param kernel: the folder of its build
        @param defer: more properties of the ipi-defer object; None: no object
        @param more: more of QEMU's arguments
        @param counted: the kernel's senders count what they ask for
        """
        counts = "ipi_defer_stats" if counted else ""
        machine = [] if defer is None else [
            "-object", f"ipi-defer,id=d0,isolated-cpus=2-3{defer}"]
        self.launch(qemu, f"{kernel}/bzImage", "-cpu", cpu, "-no-reboot",
                    "-initrd", initrd, "-append",
                    f"{BASE} {ISOLATION} generation=1 {counts} {append}",
                    *machine, *more, memory=memory, **kwargs)

    def launch(self, qemu, kernel, *args, **kwargs):
        """QEMU, with a second serial port, which the kernel says things to."""
        self._said = tempfile.NamedTemporaryFile("r", prefix="ipidefer-console-",
                                                 errors="replace")
        self._folder = os.path.dirname(kernel)
        # The lines that the kernel has said, and what may become one more.
        self.console, self._partial = [], ""
        super().__init__(qemu, kernel, *args, "-serial",
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
                    raise self.failed(f"{whereabouts.report(self, self._folder)}\n"
                                      f"nothing after {PATIENCE} s, but {lines}")
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


def kernel_symbols(folder):
    """The symbols of a kernel's build by ascending address, as pairs of address and
    name."""
    with open(f"{folder}/System.map") as lines:
        return sorted((int(address, 16), name) for address, _, name in
                      (line.split() for line in lines))
