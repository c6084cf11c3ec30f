# SPDX-License-Identifier: GPL-2.0-or-later
"""The races under ThreadSanitizer: a QEMU that `vmm/qemu/build.sh --tsan` makes, which
IPIDEFER_QEMU_TSAN names.

It reports races of QEMU's own too. With KVM only: TCG leaves its generated code by
longjmp(), and ThreadSanitizer loses the stack.
"""
import contextlib
import functools
import re

import pytest

from tests.qemu import test_races
from tests.support import requirements
from tests.support import machine
from tests.support.machine import TIMEOUT, Failed
from tests.support.puppet import Refused

pytestmark = [pytest.mark.qemu, pytest.mark.ctest(timeout=3600, processors=2)]


def accesses(report):
    """@return of a report of ThreadSanitizer's: where each access was made, as the
    innermost two functions of its stack"""
    return [re.findall(r"#[01] (\S+)", stack) for stack in re.findall(
        r"^  [^\n]* at 0x[^\n]*\n((?:    #[^\n]*\n)+)", report, re.MULTILINE)]


def is_ours(report):
    """Whether ipi-defer or libipidefer makes one of the accesses.

    That migration reads a page while a bit is set in it is no race: the page is
    marked dirty afterwards, and sent again.
    """
    made_by = accesses(report)
    return (any(re.search("ipi_defer|ipidefer", function)
                for functions in made_by for function in functions) and
            not any(function.startswith("ram_save_")
                    for functions in made_by for function in functions))


@pytest.mark.machines(long=["kvm-xapic"])
class TestSanitized:
    @pytest.fixture
    def reports(self, boot, monkeypatch, tmp_path):
        """reports(binary, test) runs a test with that QEMU. @return what it failed with,
        or None, and what was said of ipi-defer meanwhile"""
        # All takes ten times as long.
        monkeypatch.setattr(machine, "TIMEOUT", 10 * TIMEOUT)
        options = f"log_path={tmp_path}/tsan halt_on_error=0 exitcode=0"

        def run(binary, test):
            failure = None
            with contextlib.ExitStack() as machines:
                def boot_sanitized(*args, **kwargs):
                    vm = boot(*args, qemu=binary, environment={"TSAN_OPTIONS": options},
                              **kwargs)
                    machines.callback(vm.close)
                    return vm
                try:
                    test(boot_sanitized)
                except (AssertionError, Failed, Refused) as error:
                    failure = error
            text = "".join(log.read_text(errors="replace")
                           for log in tmp_path.glob("tsan*"))
            found = text.split("WARNING: ThreadSanitizer")[1:]
            ours = list(filter(is_ours, found))
            print(f"{len(found)} reports, {len(ours)} of ipi-defer")
            return failure, ours
        return run

    @pytest.fixture
    def clean(self, reports):
        """clean(test): the test passes, and nothing is said of ipi-defer."""
        binary = requirements.path("IPIDEFER_QEMU_TSAN")

        def run(test):
            failure, ours = reports(binary, test)
            assert ours == [], "\n".join(ours)
            if failure:
                raise failure
        return run

    def test_race(self, clean):
        clean(test_races.TestRace().test_race)

    def test_migration(self, clean, monkeypatch, tmp_path):
        monkeypatch.setattr(test_races.TestRaceMigration, "rings", 2000)
        clean(lambda boot: test_races.TestRaceMigration().test_race(boot, tmp_path))

    def test_unplug(self, clean, monkeypatch, configuration):
        monkeypatch.setattr(test_races.TestRaceUnplug, "rings", 2000)
        options = test_races.unplug_options(configuration)
        clean(lambda boot: test_races.TestRaceUnplug().test_race(
            functools.partial(boot, options=options)))

    def test_end_of_a_registration(self, clean, monkeypatch):
        monkeypatch.setattr(test_races.TestEndedRegistration, "rounds", 60)
        clean(test_races.TestEndedRegistration().test_no_bit_after_the_end)

    def test_it_reports_the_mutant_without_the_lock(self, reports):
        binary = requirements.beside("IPIDEFER_QEMU_TSAN", "no-lock")
        _, ours = reports(binary, test_races.TestRace().test_race)
        assert ours != []
