# SPDX-License-Identifier: GPL-2.0-or-later
"""Deferred work of a vCPU that runs a nested guest (CONTEXT_GUEST).

QEMU emulates AMD's virtualization; the guest loads its own kvm_amd, and runs the
VMM with one vCPU on an isolated vCPU. Text is changed while that one is in its
guest; NMIs and function calls force it out, and look whether its sync_core()
was accounted for before (ipi_defer_test.c of the kernel series), and whether it was
executed (serialized.py).
"""
import collections
import itertools
import random

import pytest

from tests.support import requirements
from tests.support.oracle import CPU, SYNC_CORE, TEST
from tests.support.serialized import Watch

pytestmark = [pytest.mark.nested, pytest.mark.long,
              pytest.mark.ctest(timeout=900, processors=2)]
ROUNDS = 20
# What happens to the vCPU, in any order. A poke is a change of text.
EVENTS = {"poke": f"echo poke {CPU} >$T",
          "nmi": f"echo nmi {CPU} >$T",
          "call": f"echo ipi {CPU} >$T",
          "pause": "sleep 0.1"}
POKED = ("probed", "unsynced")
# All orders in which a change is followed by something that looks.
ORDERS = sorted({order for n in (2, 3, 4)
                 for order in itertools.product(("poke", "nmi", "call"), repeat=n)
                 if order.count("poke") == 1 and order[-1] != "poke"})


def boot_l2(boot, scenario, append, **kwargs):
    """@return a guest whose CPU runs a nested guest of that scenario"""
    files = {f"bin/{name}.ko": requirements.path("IPIDEFER_KERNEL", f"modules/{name}.ko")
             for name in ("irqbypass", "kvm", "kvm-amd")}
    files.update({"bin/vmm": requirements.path("IPIDEFER_VMM_STATIC"),
                  "bin/l2": requirements.path("IPIDEFER_KVM_GUEST")})
    guest = boot(f"ipi_defer_test loops= {append}", files, cpu="max,+svm", **kwargs)
    guest.run(f"T={TEST}; for m in irqbypass kvm kvm-amd; do "
              "insmod /bin/$m.ko; done")
    guest.run(f"vmm --guest /bin/l2 --append 'scenario={scenario}' "
              f"--pin {CPU} --mem 16M --timeout 86400 --quiet "
              ">/vmm.log 2>&1 &")
    said = guest.lines_of(
        "i=0; while ! grep -q spinning /vmm.log && [ $i -lt 300 ];"
        " do sleep 0.1; i=$((i+1)); done; sleep 0.5; cat /vmm.log")
    assert "spinning" in "\n".join(said)
    return guest


def checks(guest):
    """The counts of the kernel's checks."""
    words = " ".join(guest.lines_of("cat $T")).split()
    counts = dict(zip(words[0::2], words[1::2]))
    return {name: int(counts[name]) for name in POKED}


def stats(guest):
    """The guest's statistics of SYNC_CORE on the isolated vCPU."""
    return guest.work_stats("sync_core", CPU)


def forced_exits(guest):
    """Exits of the nested guest for interrupts, by KVM's count."""
    [count] = guest.lines_of("cat /sys/kernel/debug/kvm/*-*/irq_exits")
    return int(count)


def do(guest, *events, times=1):
    """Events without a pause, one after another."""
    guest.run(f"i=0; while [ $i -lt {times} ]; do "
              + "; ".join(EVENTS[e] for e in events)
              + "; i=$((i+1)); done")


def expect_synced(boot, scenario, append, deferred):
    guest = boot_l2(boot, scenario, append)
    for order in ORDERS:
        before, earlier = checks(guest), stats(guest)
        # An NMI is not waited for, a call is.
        do(guest, *order, "call", times=ROUNDS)
        after, now = checks(guest), stats(guest)
        assert after["probed"] - before["probed"] == ROUNDS
        assert after["unsynced"] == 0
        suppressed = now["suppressed"] - earlier["suppressed"]
        if deferred:
            assert suppressed > 0
        else:
            assert suppressed == 0


class TestExitsAndNmis:
    """Whatever forces the vCPU out of its guest, it has synchronised first."""

    def test_guest(self, boot):
        expect_synced(boot, "spin", "ipi_defer=guest", True)

    def test_hv(self, boot):
        expect_synced(boot, "spin", "ipi_defer=hv", True)

    def test_hv_busy(self, boot):
        """The nested guest exits to its VMM all the time, too."""
        expect_synced(boot, "exits", "ipi_defer=hv", True)

    def test_off(self, boot):
        expect_synced(boot, "spin", "ipi_defer=off", False)

    def test_mutant(self, boot):
        """Work that the exit leaves out is seen, by calls and by NMIs."""
        guest = boot_l2(boot, "spin", "ipi_defer=hv ipi_defer_fault=drop_flush")
        for event in ("call", "nmi"):
            before = checks(guest)
            do(guest, "poke", event, "pause", times=10)
            after = checks(guest)
            assert after["unsynced"] > before["unsynced"], "lost work is not seen"


def look(boot, watch, append):
    """For each way out: whether it had come, for each round."""
    guest = boot_l2(boot, "spin", append, more=watch.args)
    watch.start(guest)
    seen = {}
    for event in ("nmi", "call"):
        seen[event] = []
        for _ in range(ROUNDS):
            # A call that comes second finds nothing to look for.
            do(guest, "poke", event, "call")
            seen[event] += watch.probes(CPU)[:1]
    assert checks(guest)["unsynced"] == 0
    return seen


class TestSerializedExits:
    """A serializing instruction comes between the guest and code that was changed."""

    @pytest.fixture
    def watch(self, tmp_path, kernel):
        return Watch(tmp_path, kernel)

    def test_hv(self, boot, watch):
        for event, rounds in look(boot, watch, "ipi_defer=hv").items():
            assert rounds == [True] * ROUNDS, event

    def test_mutant(self, boot, watch):
        for event, rounds in look(
                boot, watch, "ipi_defer=hv ipi_defer_fault=skip_sync").items():
            assert False in rounds, event


class TestStorm:
    """The same in no order, from two senders at a time."""

    def test_hv(self, boot):
        guest = boot_l2(boot, "exits", "ipi_defer=hv")
        rng = random.Random(1)
        before = stats(guest)
        # The other one changes other text.
        guest.run("(for n in $(seq 20); do toggle; done) &")
        for _ in range(20):
            events = []
            for event in rng.choices(["poke", "nmi", "call"], k=20):
                # A change while the last one is looked at would be misread.
                events += ["call", event] if event == "poke" else [event]
            do(guest, *events)
        guest.run("wait $!")
        do(guest, "call")
        counts, after = checks(guest), stats(guest)
        assert counts["probed"] > 0
        assert counts["unsynced"] == 0
        assert after["suppressed"] > before["suppressed"]


def changes(guest):
    """(verdicts by name, forced exits) of changes of text."""
    before, exits = guest.counters(CPU, SYNC_CORE), forced_exits(guest)
    guest.run("toggle")
    after = guest.counters(CPU, SYNC_CORE)
    return (collections.Counter({name: count - before.get(name, 0)
                                 for name, count in after.items()}),
            forced_exits(guest) - exits)


def expect_recorded(guest):
    verdicts, exits = changes(guest)
    recorded = verdicts["deferred"] + verdicts["coalesced"]
    assert recorded > 0
    assert verdicts["delivered-policy"] == 0
    # What the scheduler and RCU want of the vCPU now and then.
    assert exits < recorded / 2


class TestGuestPolicy:
    """guest=off: a vCPU in its guest is interrupted; on again, it is not."""

    def test_hv(self, boot):
        guest = boot_l2(boot, "spin", "ipi_defer=hv")
        expect_recorded(guest)

        guest.set("guest", False)
        verdicts, exits = changes(guest)
        assert verdicts["delivered-policy"] > 0
        assert verdicts["deferred"] + verdicts["coalesced"] == 0
        assert exits >= verdicts["delivered-policy"] / 2

        guest.set("guest", True)
        expect_recorded(guest)
