# SPDX-License-Identifier: GPL-2.0-or-later
"""What must not wait interrupts, in each mode (I11)."""
import pytest

from tests.support.lab import CANNOT_RUN, events

pytestmark = [pytest.mark.nested, pytest.mark.long,
              pytest.mark.ctest(timeout=1200, serial=True, each=True)]
# Each change of a branch is three syncs, to each of two vCPUs.
NOINSTR_SYNCS = 5 * 2 * 3 * 2


def change_noinstr_text(lab, *more):
    """Change branches in noinstr code: those of user_enter and user_exit.

    @return the runs
    """
    lab.run("--workload", lab.script("""\
set -e
cd /sys/kernel/tracing/events/context_tracking
for i in 1 2 3 4 5; do
    echo 1 >user_enter/enable; echo 0 >user_enter/enable
done
"""), *more)
    return lab.report()["runs"]


def test_noinstr_poke_interrupts(lab):
    """Noinstr code runs before deferred work is done. Its changes must interrupt, and be
    heard of before they are over."""
    for run in change_noinstr_text(lab, "--modes", "guest,hv"):
        assert events(run, "do_sync_core") >= NOINSTR_SYNCS, run["mode"]
        assert run["guest"]["interrupts"].get("CAL", 0) > 0, run["mode"]


def test_noinstr_poke_mutant(lab):
    """What that counts depends on the rule: without it, nothing interrupts."""
    runs = change_noinstr_text(lab, "--modes", "hv", "--append",
                               "ipi_defer_fault=defer_noinstr")
    assert events(runs[0], "do_sync_core") < NOINSTR_SYNCS, "the fault does not show"


def must_interrupt(lab, text, callback):
    """Runs a script with deferral on; its events must be function calls."""
    lab.run("--modes", "guest,hv", "--append", "ipi_defer_test", "--workload",
            lab.script(f"set -e\n{text}\n"))
    for run in lab.report()["runs"]:
        assert events(run, callback) > 0, run["mode"]


def test_huge_mapping_interrupts(lab):
    """Small pages may come in place of the large one, in a TLB that has both."""
    must_interrupt(lab, "echo huge >/sys/kernel/debug/x86/ipi_defer/test",
                   "do_flush_tlb_all")


def test_memory_type_interrupts(lab):
    """Nothing may be cached by a memory type that is no more, by speculation either."""
    must_interrupt(lab, "echo uc >/sys/kernel/debug/x86/ipi_defer/test",
                   "__cpa_flush_tlb")


def test_page_taken_away_interrupts(lab):
    """Nothing may speculate into a page that is poisoned."""
    must_interrupt(lab, "echo np >/sys/kernel/debug/x86/ipi_defer/test",
                   "__cpa_flush_tlb")


def test_secret_memory_interrupts(lab):
    """The direct map of secret memory is gone when the first access returns, and with it
    a range of one page."""
    must_interrupt(lab, "lab-secret-page", "do_kernel_range_flush")


# The parts of the workload must-interrupt.
PARTS = ("noinstr text", "secret memory", "memory types", "huge pages set aside",
         "huge pages freed", "page tables of the kernel")


def test_all_of_it_interrupts_before_its_caller_goes_on(lab):
    """The workload looks at the interrupts of each isolated vCPU after each part, and this
    at whether there was each part."""
    lab.run("--modes", "guest,hv", "--append", "ipi_defer_test", "--workload", lab.script(
        "sh /lab/workloads/must-interrupt.sh >/tmp/said 2>&1 || { cat /tmp/said; exit 1; }\n" +
        "".join(f"grep -qx '{part}' /tmp/said || exit 1\n" for part in PARTS) +
        "! grep 'not in this kernel' /tmp/said\n"))


@pytest.mark.parametrize("fault,part", [
    pytest.param("defer_noinstr", "noinstr text", id="noinstr-text"),
    pytest.param("defer_any_page", "memory types", id="memory-types")])
def test_part_that_is_deferred_is_named(lab, fault, part):
    """What each part looks at depends on the rule."""
    said = lab.run("--modes", "hv", "--append", f"ipi_defer_test ipi_defer_fault={fault}",
                   "--workload", "must-interrupt", status=CANNOT_RUN)
    assert f"{part}: CPUs 2 3 were not interrupted" in said
