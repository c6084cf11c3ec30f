# SPDX-License-Identifier: GPL-2.0-or-later
"""What an IPI costs its sender under KVM, by the way it is sent.

    /usr/bin/python3 -m tests.qemu.kvm_cost [ROUNDS [IPIS]]

In each round (default 20) and each mode of the local APIC, a guest's CPU 1 sends
IPIS times (default 2000) in each of the ways below, in an order that changes.
Its targets are in ring 3. Figures are ratios to the ordinary IPI of the in-kernel
xAPIC in the same round: median, and the 10th and 90th percentile. A benchmark: no
test's verdict. Where KVM emulates ring 0, the loop that sends is emulated too.

Environment: IPIDEFER_QEMU, IPIDEFER_PUPPET (puppet.elf of the build tree).
Status: 0, or 77 when one of them or KVM is missing.
"""
import os
import random
import sys
import time

from tests.qemu.ipi_cost import spread
from tests.support.configurations import X2APIC
from tests.support.contract import ACCEPT, PLAIN, VECTOR, WORDS
from tests.support.requirements import without_kvm
from tests.support.sender import SENDER, Sender

TARGETS = (2, 3)
MODES = {
    "in-kernel xAPIC": ("kvm", (), 0),
    "in-kernel x2APIC": ("kvm", X2APIC, 1),
    "split x2APIC": ("kvm,kernel-irqchip=split", X2APIC, 1),
    "off (ICR seen)": ("kvm,kernel-irqchip=off", (), 0),
}


class Timed(Sender):
    """Both targets in ring 3."""

    def start(self, x2apic):
        self.prepare(TARGETS, x2apic)
        self.spread(SENDER, TARGETS[0])
        for cpu in TARGETS:
            self.tell(cpu, "!toggle3", WORDS + 0x400 + 64 * cpu, 0, WORDS + 0x800)

    def ways(self, doorbell):
        """{name: (what the words are, how to send)}"""
        ordinary = (0, lambda ipis: self.ordinary(PLAIN, ipis))
        if doorbell:
            return {"ordinary IPI": ordinary,
                    "doorbell, recorded": (ACCEPT, self.ring),
                    "doorbell, delivered": (0, self.ring),
                    "multicast to 2, recorded": (ACCEPT, self.ring_all),
                    "multicast to 2, delivered": (0, self.ring_all)}
        return {"ordinary IPI": ordinary,
                "ICR, recorded": (ACCEPT, lambda ipis: self.ordinary(VECTOR, ipis)),
                "ICR, delivered": (0, lambda ipis: self.ordinary(VECTOR, ipis))}


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    ipis = int(sys.argv[2]) if len(sys.argv) > 2 else 2000
    names = ("IPIDEFER_QEMU", "IPIDEFER_PUPPET")
    missing = [n for n in names if not os.access(os.environ.get(n, ""), os.R_OK)]
    no_kvm = without_kvm()
    if missing or no_kvm:
        print(f"skipped: {no_kvm or ', '.join(missing) + ' not set to a file'}")
        return 77
    qemu, guest = (os.environ[n] for n in names)
    machines, took = {}, {}
    try:
        for mode, (accel, cpu, x2apic) in MODES.items():
            machines[mode] = Timed(
                qemu, guest, "-object",
                "ipi-defer,id=d0,isolated-cpus=2-3,idle=on,doorbell=on", *cpu,
                accel=accel)
            machines[mode].start(x2apic)
            machines[mode].qmp("stop")
        for _ in range(rounds):
            for mode in random.sample(list(machines), len(machines)):
                m = machines[mode]
                m.qmp("cont")
                ways = m.ways("off" not in mode)
                for way in random.sample(list(ways), len(ways)):
                    value, send = ways[way]
                    m.accept(value)
                    start = time.perf_counter()
                    send(ipis)
                    took.setdefault((mode, way), []).append(time.perf_counter() - start)
                m.qmp("stop")
    finally:
        for machine in machines.values():
            machine.close()
    base = took["in-kernel xAPIC", "ordinary IPI"]
    print(f"{rounds} rounds of {ipis} IPIs; ratio to the ordinary IPI of the "
          "in-kernel xAPIC, median (10th .. 90th percentile)")
    for mode, machine in machines.items():
        for way in machine.ways("off" not in mode):
            ratios = [t / b for t, b in zip(took[mode, way], base)]
            print(f"{mode:17} {way:26} {spread(ratios)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
