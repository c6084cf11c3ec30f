# SPDX-License-Identifier: GPL-2.0-or-later
"""Exits of vCPU threads, as the host's tracepoints count them."""
import contextlib
import os
import re
from pathlib import Path

import pytest

TRACING = Path("/sys/kernel/tracing")
NOHZ_FULL = Path("/sys/devices/system/cpu/nohz_full")
# For whom KVM leaves to QEMU: include/uapi/linux/kvm.h.
EXIT_WRMSR = 30
# What KVM interrupts a CPU with so that its vCPU looks for work.
KICK = "RES"
HISTOGRAMS = {"kvm_exit": "exit_reason", "kvm_userspace_exit": "reason",
              "kvm_inj_virq": "vector"}
ROW = re.compile(r"\{ common_pid: +(\d+), \w+: +(\d+)")
COUNT = re.compile(r"hitcount: +(\d+)")


def alone(machine, isolated):
    """Each isolated vCPU on a host CPU of the same number, which is nohz_full, and all
    else of this process and of QEMU on the others."""
    nohz_full = NOHZ_FULL.read_text().strip() if NOHZ_FULL.exists() else ""
    if nohz_full != f"{min(isolated)}-{max(isolated)}":
        pytest.skip(f"host CPUs {sorted(isolated)} are not nohz_full, but '{nohz_full}'")
    rest = os.sched_getaffinity(0) - set(isolated)
    os.sched_setaffinity(0, rest)
    for task in os.listdir(f"/proc/{machine.process.pid}/task"):
        os.sched_setaffinity(int(task), rest)
    of = machine.threads()
    for cpu in isolated:
        os.sched_setaffinity(of[cpu], {cpu})


def host_interrupts(cpu):
    """@return the interrupts that a host CPU has taken, but for KVM's kicks"""
    lines = Path("/proc/interrupts").read_text().splitlines()
    column = lines[0].split().index(f"CPU{cpu}")
    rows = (line.partition(":") for line in lines[1:])
    return sum(int(counts.split()[column]) for name, _, counts in rows
               if name.strip() not in (KICK, "ERR", "MIS"))


class Exits:
    """Counts from begin on: {(thread, reason): n} of each of HISTOGRAMS; of an interrupt
    its vector is the reason."""

    def __init__(self, folder):
        self._events = folder / "events/kvm"

    def counts(self, event):
        found = {}
        for line in (self._events / event / "hist").read_text().splitlines():
            if row := ROW.match(line):
                found[int(row[1]), int(row[2])] = int(COUNT.search(line)[1])
        return found

    def of(self, event, thread):
        """{reason: n} of one thread"""
        return {reason: n for (pid, reason), n in self.counts(event).items()
                if pid == thread}


@contextlib.contextmanager
def counted():
    """Exits of all VMs, from here on."""
    if not TRACING.is_dir():
        pytest.skip(f"no {TRACING}")
    folder = TRACING / "instances" / f"ipidefer-test-{os.getpid()}"
    folder.mkdir()
    triggers = [(folder / "events/kvm" / event / "trigger", f"hist:keys=common_pid,{key}")
                for event, key in HISTOGRAMS.items()]
    try:
        for file, text in triggers:
            file.write_text(text)
        yield Exits(folder)
    finally:
        for file, text in triggers:
            with contextlib.suppress(OSError):
                file.write_text(f"!{text}")
        folder.rmdir()
