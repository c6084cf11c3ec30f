# SPDX-License-Identifier: GPL-2.0-or-later
"""What an ordinary IPI costs under the patched QEMU, against the stock one.

    /usr/bin/python3 -m tests.qemu.ipi_cost [ROUNDS [IPIS]]

Each round lets a guest send IPIS untyped IPIs (default 100000) under each of:
the stock QEMU, the patched one, the patched one with the object. The order
changes from round to round, all three run at once and rest while they are not
asked, so that what disturbs this machine disturbs all alike. Figures are ratios
to the stock run of the same round: median, and the 10th and 90th percentile of
ROUNDS (default 40). A benchmark: no test's verdict.

Environment: IPIDEFER_QEMU, IPIDEFER_QEMU_STOCK, IPIDEFER_PUPPET (puppet.elf
of the build tree). Status: 0, or 77 when one is missing.
"""
import os
import random
import statistics
import sys
import time

from tests.support.contract import ASSERT, PLAIN
from tests.support.puppet import Puppet


def measure(machine, ipis):
    """Seconds that the sender takes. The target waits for its SIPI, so it
    takes no time of its own; its local APIC sees each IPI all the same."""
    start = time.perf_counter()
    machine.tell(0, "spam", 0, 1 << 24, ASSERT | PLAIN, ipis, 0)
    return time.perf_counter() - start


def spread(values):
    deciles = statistics.quantiles(values, n=10)
    return f"{statistics.median(values):.3f}  ({deciles[0]:.3f} .. {deciles[8]:.3f})"


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    ipis = int(sys.argv[2]) if len(sys.argv) > 2 else 100000
    names = ("IPIDEFER_QEMU", "IPIDEFER_QEMU_STOCK", "IPIDEFER_PUPPET")
    missing = [n for n in names if not os.access(os.environ.get(n, ""), os.R_OK)]
    if missing:
        print(f"skipped: {', '.join(missing)} not set to a file")
        return 77
    patched, stock, guest = (os.environ[n] for n in names)
    setups = {
        "stock": (stock, ()),
        "stock again": (stock, ()),
        "patched": (patched, ()),
        "patched, object": (patched, ("-object", "ipi-defer,id=d0,isolated-cpus=1")),
    }
    machines = {}
    try:
        for name, (qemu, args) in setups.items():
            machines[name] = Puppet(qemu, guest, *args, cpus="2",
                                     accel="tcg,thread=single")
        took = {name: [] for name in machines}
        for _ in range(rounds):
            for name in random.sample(list(machines), len(machines)):
                took[name].append(measure(machines[name], ipis))
    finally:
        for machine in machines.values():
            machine.close()
    print(f"{rounds} rounds of {ipis} IPIs; ratio to stock, median (10th .. 90th percentile)")
    for name in machines:
        if name != "stock":
            ratios = [t / s for t, s in zip(took[name], took["stock"])]
            print(f"{name:16} {spread(ratios)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
