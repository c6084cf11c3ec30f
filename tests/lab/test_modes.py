# SPDX-License-Identifier: GPL-2.0-or-later
"""What the lab shows of a guest in the modes off, guest and hv."""
import pytest

from tests.support.lab import ISOLATED, assert_undisturbed, events

pytestmark = [pytest.mark.nested, pytest.mark.ctest(timeout=1200, serial=True, each=True)]
# What the lab promises of its default workload, of vmalloc, and with nested guests.
LEAST_EVENTS = 500
LEAST_FLUSHES = 150
LEAST_NESTED_EVENTS = 100
# What the default workload sends as function calls without need.
NEEDLESS = ("do_sync_core", "do_flush_tlb_all", "do_kernel_range_flush",
            "__cpa_flush_tlb", "ftrace_sync_ipi", "tlb_remove_table_smp_sync")
# Of those that off takes, the part that may be left.
CALLS_LEFT = 0.01
# Of the workload thp.
COLLAPSES = 20
# Reschedules and ticks for each isolated vCPU.
MOST_WAKEUPS = 3


def verdicts(vmm):
    """How often the VMM has decided."""
    return sum(by["deferred"] + by["coalesced"] + sum(by["delivered"].values())
               for by in vmm["verdicts"].values())


def assert_quiet(run, off):
    """Next to nothing interrupts isolated vCPUs, where off does all the time."""
    taken = run["guest"]["interrupts"]
    assert taken["CAL"] <= CALLS_LEFT * off["guest"]["interrupts"]["CAL"], run["mode"]
    wakeups = (taken.get("RES", 0) + taken.get("LOC", 0) +
               events(run, "nohz_full_kick_func"))
    assert wakeups <= MOST_WAKEUPS * len(ISOLATED), run["mode"]


def test_table(lab):
    """The seed's table: off sends function calls, the others send nothing that reaches
    userspace, and all counts agree.

    Splits of the direct map interrupt, so the lab's guests have nothing that could be split.
    """
    lab.run()
    report = lab.report()
    assert report["schema"] == "ipidefer-lab/1"
    assert len(report["runs"]) == 3
    for run in report["runs"]:
        mode = run["mode"]
        assert run["agree"] is True, mode
        assert run["guest"]["mode"] == mode
        if mode == "off":
            assert events(run, "do_sync_core") >= LEAST_EVENTS
            continue
        for callback in NEEDLESS:
            assert events(run, callback) == 0, f"{mode}: {callback}"
        assert events(run, "typed:sync_core") >= LEAST_EVENTS, mode
        assert_quiet(run, report["runs"][0])
    # Two counts of the same, by guest and by VMM.
    hv = report["runs"][2]
    requests = sum(count for name, count in hv["guest"]["events"].items()
                   if name.startswith("typed:"))
    assert verdicts(hv["vmm"]) == requests


@pytest.mark.long
def test_kernel_memory(lab):
    """What unmaps kernel memory sends TLB flushes in off, and none that reaches userspace
    in the others."""
    lab.run("--workload", "vmalloc")
    for run in lab.report()["runs"]:
        mode = run["mode"]
        calls = events(run, "do_flush_tlb_all") + events(run, "do_kernel_range_flush")
        typed = events(run, "typed:kernel_tlbi")
        if mode == "off":
            assert calls >= LEAST_FLUSHES
            assert typed == 0
            continue
        assert typed >= LEAST_FLUSHES, mode
        # Some are never deferred: few, or the call sites are not converted.
        assert calls < LEAST_FLUSHES // 10, mode
        assert_undisturbed(run, "DTL")


def test_static_keys_undisturbed(lab):
    """Nothing else sends them into the kernel here, so nothing typed may arrive."""
    lab.run("--modes", "guest,hv", "--workload", "static-keys")
    for run in lab.report()["runs"]:
        assert events(run, "typed:sync_core") > 0, run["mode"]
        assert_undisturbed(run, "DSC")


@pytest.mark.long
def test_nested_guest(lab):
    """With a nested guest on each isolated vCPU: as many exits as there are
    synchronisations in off, none for them in the others."""
    lab.run("--nested")
    for run in lab.report()["runs"]:
        mode = run["mode"]
        assert len(run["nested"]) == 2, mode
        for guest in run["nested"].values():
            assert guest["context_before"] == guest["context_after"] == "guest", mode
        forced = sum(guest["interrupt_exits"] for guest in run["nested"].values())
        if mode == "off":
            calls = events(run, "do_sync_core")
            assert calls >= LEAST_NESTED_EVENTS
            # Two that come close together may share an exit.
            assert forced >= calls // 2
            continue
        typed = events(run, "typed:sync_core")
        assert typed >= LEAST_NESTED_EVENTS, mode
        assert_undisturbed(run, "DSC")
        # Whatever else came, it was not for the work that is deferred.
        assert forced <= sum(run["guest"]["interrupts"].values()), mode
        assert forced < typed // 4, mode


@pytest.mark.long
def test_ticks(lab):
    lab.run("--modes", "hv", "--append", "nohz=off")


@pytest.mark.long
def test_hotplug(lab):
    """A vCPU that goes offline ends its registration, and makes it anew when it comes
    back; requests come in all the while, and nothing is lost."""
    lab.run("--modes", "hv", "--workload", lab.script("""\
set -e
cd /sys/devices/system/cpu/cpu1
registered() {
    dd if=/dev/cpu/1/msr bs=8 count=1 iflag=skip_bytes skip=$((0x49504900)) 2>/dev/null |
        od -An -tx8 | tr -d ' \\n'
}
toggle() {
    for i in 1 2 3; do
        echo 1 >/proc/sys/kernel/sched_schedstats
        echo 0 >/proc/sys/kernel/sched_schedstats
    done
}
before=$(registered)
[ "$before" != 0000000000000000 ]
for i in 1 2 3 4; do
    toggle; echo 0 >online; toggle; echo 1 >online
    [ "$(registered)" = "$before" ]
done
"""))
    run = lab.report()["runs"][0]
    # 4 rounds of 12 changes, 3 syncs each, to each of two isolated vCPUs.
    assert events(run, "typed:sync_core") >= 4 * 12 * 3 * 2
    assert run["agree"] is True


def test_falls_back_on_a_qemu_without_the_object(lab, stock):
    # No text is changed: under a stock QEMU a vCPU may run it from before.
    said = lab.run("--qemu", stock, "--modes", "hv", "--workload", "vmalloc")
    assert "has no ipi-defer object" in said
    assert "running as ipi_defer=off" in said
    run = lab.report()["runs"][0]
    assert run["guest"]["mode"] == "off"
    assert run["vmm"] is None
    assert events(run, "do_kernel_range_flush") + events(run, "do_flush_tlb_all") > 0


def test_thp(lab):
    """Each collapse of huge pages has walks of page tables end everywhere; a CPU in
    userspace is in none."""
    lab.run("--workload", "thp")
    off, guest, hv = lab.report()["runs"]
    assert events(off, "tlb_remove_table_smp_sync") >= COLLAPSES * len(ISOLATED)
    for run in (guest, hv):
        assert events(run, "tlb_remove_table_smp_sync") == 0, run["mode"]
