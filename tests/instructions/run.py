# SPDX-License-Identifier: GPL-2.0-or-later
"""What an IPI costs its sender under KVM, in instructions of the host.

    /usr/bin/python3 -m tests.instructions.run

Runs itself in the box (`ipidefer lab box`), where a plugin of the QEMU below counts what
the sender's host CPU executes: the guest's instruction, KVM, and for the doorbell QEMU, unless
the host's KVM decides (vmm/linux-kvm).
The sender's vCPU has a nohz_full host CPU for itself. One or two targets are in ring 3, on
host CPUs of their own; 448 share two, and halt. For each way, the median of 5 runs of 20 IPIs,
per IPI, with the least and the most. What is newly recorded, to a vCPU that has no work yet, is
one IPI in a run.

Environment: IPIDEFER_QEMU, IPIDEFER_KERNEL, IPIDEFER_CLI, IPIDEFER_WIDE_PUPPET.
Status: 0, or 77 when one of them is missing.
"""
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support import puppet
from tests.support.configurations import HOST_CPU, KVM_DECIDES, QEMU_DECIDES, X2APIC
from tests.support.contract import ACCEPT, MIB, PLAIN, VECTOR
from tests.support.puppet import MULTICAST_IDS
from tests.support.sender import FIRST_TARGET, SENDER, Sender

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
NEEDED = ("IPIDEFER_QEMU", "IPIDEFER_KERNEL", "IPIDEFER_CLI", "IPIDEFER_WIDE_PUPPET")
# Host CPUs that the vCPUs, and the rest of QEMU, are on.
SENDERS_HOST, TARGETS_HOST, OTHERS = {3}, {1, 2}, {0}
RUNS, IPIS = 5, 20
SCRATCH = 32 * MIB
# Who looks at what the guest sends: properties of the ipi-defer object.
DOORBELL = ",doorbell=on"
QEMU, KVM = DOORBELL + QEMU_DECIDES, DOORBELL + KVM_DECIDES
KVM_ICR = f"{KVM_DECIDES},icr=on"
MODES = {
    "in-kernel xAPIC": ("kvm", ("-cpu", f"{HOST_CPU},-x2apic"), False, QEMU, (1, 2)),
    "in-kernel x2APIC": ("kvm", X2APIC, True, QEMU, (1, 2, MULTICAST_IDS)),
    "split x2APIC": ("kvm,kernel-irqchip=split", X2APIC, True, QEMU, (1, 2)),
    "xAPIC, KVM": ("kvm", ("-cpu", f"{HOST_CPU},-x2apic"), False, KVM, (1, 2)),
    "x2APIC, KVM": ("kvm", X2APIC, True, KVM, (1, 2, MULTICAST_IDS)),
    "xAPIC, KVM, ICR": ("kvm", ("-cpu", f"{HOST_CPU},-x2apic"), False, KVM_ICR, (1,)),
    "x2APIC, KVM, ICR": ("kvm", X2APIC, True, KVM_ICR, (1,)),
}


class Counted(Sender):
    """Targets by hot-plug: firmware starts all that are there at once, and 450 that contend
    for a lock on three CPUs never come to an end."""

    @staticmethod
    def word(cpu):
        """Each in a line of its own, above what the program itself occupies."""
        return 16 * MIB + 64 * cpu

    @staticmethod
    def table(cpu):
        return 24 * MIB + 0x100 * cpu

    def start(self, model, targets, x2apic):
        targets = range(FIRST_TARGET, FIRST_TARGET + targets)
        for cpu in targets:
            self.qmp("device_add", driver=f"{model}-x86_64-cpu", socket_id=cpu, core_id=0,
                     thread_id=0)
            self.tell(0, "start", cpu)
        for task in os.listdir(f"/proc/{self.process.pid}/task"):
            os.sched_setaffinity(int(task), OTHERS)
        for cpu, thread in self.threads().items():
            os.sched_setaffinity(thread, SENDERS_HOST if cpu == SENDER else TARGETS_HOST)
        self.prepare(targets, x2apic)

    def spin(self):
        """Targets that have a host CPU each stay in ring 3; others halt."""
        if len(self.targets) > len(TARGETS_HOST):
            return
        of = self.threads()
        for cpu, host in zip(self.targets, TARGETS_HOST):
            os.sched_setaffinity(of[cpu], {host})
            self.tell(cpu, "!toggle3", SCRATCH + 64 * cpu, 0, SCRATCH)

    def ways(self, properties):
        """{name: (what the words are, how to send, how many before they are that again)}"""
        count = len(self.targets)

        def recorded(name, send):
            return {f"{name}, recorded": (ACCEPT, send, IPIS),
                    f"{name}, newly recorded": (ACCEPT, send, 1),
                    f"{name}, delivered": (0, send, IPIS)}

        ordinary = {"ordinary IPI": (0, lambda ipis: self.ordinary(PLAIN, ipis), IPIS)}
        if properties == KVM_ICR:
            def typed(ipis):
                self.ordinary(VECTOR, ipis)
            return {**ordinary, **recorded("ICR", typed)}
        if count == 1:
            return {**ordinary, **recorded("doorbell", self.ring)}
        return recorded(f"multicast to {count}", self.ring_all)


def inside(results):
    """@param results: gets the names of what was done, in order, one in a line"""
    os.sched_setaffinity(0, OTHERS)
    puppet.TIMEOUT = 300
    with open(results, "w", encoding="utf-8") as out:
        for mode, (accel, cpu, x2apic, properties, numbers) in MODES.items():
            for targets in numbers:
                with Counted(os.environ["IPIDEFER_QEMU"], os.environ["IPIDEFER_WIDE_PUPPET"],
                             "-object", f"ipi-defer,id=d0,idle=on{properties},isolated-cpus="
                             f"{FIRST_TARGET}-{FIRST_TARGET + targets - 1}", *cpu,
                             accel=accel, memory="64M",
                             cpus=f"{FIRST_TARGET},maxcpus={FIRST_TARGET + targets},"
                             f"sockets={FIRST_TARGET + targets},cores=1,threads=1") as vm:
                    vm.start(cpu[1].partition(",")[0], targets, x2apic)
                    vm.spin()
                    for way, (value, send, ipis) in vm.ways(properties).items():
                        # The first finds nothing translated, and less in caches of QEMU's.
                        for run in range(1 + RUNS):
                            if run == 0 or ipis == 1:
                                vm.accept(value)
                            send(ipis)
                            print(json.dumps([mode, way, run, ipis]), file=out, flush=True)


def box(folder):
    """@return the log of the plugin"""
    qemu, log = os.environ["IPIDEFER_QEMU"], folder / "log"
    plugin, wrapper = folder / "plugin.so", folder / "qemu"
    cflags = subprocess.run(["pkg-config", "--cflags", "glib-2.0"], check=True,
                            stdout=subprocess.PIPE, text=True).stdout.split()
    subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC",
                    f"-I{Path(qemu).parent.parent}/include", *cflags, "-o", plugin,
                    HERE / "plugin.c"], check=True)
    wrapper.write_text(f'#!/bin/sh\nexec {qemu} "$@" -plugin {plugin} -d plugin -D {log}\n')
    wrapper.chmod(0o755)
    subprocess.run([os.environ["IPIDEFER_CLI"], "lab", "box", "--qemu", wrapper, "--share",
                    folder, "--append", "nohz_full=3 rcu_nocbs=3", "--timeout", "900", "--",
                    sys.executable, "-B", "-m", "tests.instructions.run", "--inside",
                    folder / "done"], cwd=ROOT, check=True)
    return log.read_text(encoding="utf-8")


def per_ipi(log, done):
    """@return {(mode, way): instructions per IPI of each run but the first}"""
    marks = [line.split()[1:] for line in log.splitlines() if line.startswith("marker ")]
    assert len(marks) == 2 * len(done), f"{len(marks)} markers of {len(done)} runs"
    found = {}
    for (mode, way, run, ipis), (cpu, begin), (cpu2, end) in zip(done, marks[::2], marks[1::2]):
        assert cpu == cpu2, "the sender has changed its host CPU"
        if run:
            found.setdefault((mode, way), []).append((int(end) - int(begin)) / ipis)
    return found


def main():
    if sys.argv[1:2] == ["--inside"]:
        inside(sys.argv[2])
        return 0
    if missing := [name for name in NEEDED if not os.environ.get(name)]:
        print(f"skipped: {', '.join(missing)} not set")
        return 77
    with tempfile.TemporaryDirectory(prefix="ipidefer-instructions-") as name:
        folder = Path(name)
        log = box(folder)
        done = [json.loads(line) for line in (folder / "done").read_text().splitlines()]
    print(f"{'instructions of the host per IPI':50}{'median':>10}{'least':>10}{'most':>10}")
    for (mode, way), counts in per_ipi(log, done).items():
        print(f"{mode:18}{way:32}{statistics.median(counts):10.0f}{min(counts):10.0f}"
              f"{max(counts):10.0f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
