# SPDX-License-Identifier: GPL-2.0-or-later
"""That the tests of the doorbell see what they are for: each with a QEMU in which one
thing is wrong. Those of vmm/qemu/mutants are built, that of mutant_kvm.c is loaded.
"""
import contextlib
import itertools
import os

import pytest

from tests.qemu import test_delivery, test_doorbell, test_races
from tests.support import requirements
from tests.support.machine import Failed
from tests.support.puppet import SharedPuppet

pytestmark = [pytest.mark.qemu, pytest.mark.ctest(timeout=900, processors=2)]
# A race that is lost once in a while, in which the mutants linger.
ATTEMPTS = 5


def assert_seen(boot, binary, test):
    """That a test fails with this QEMU, if not at once."""
    # What does not start is no mutant that was seen.
    boot(qemu=binary).close()
    for _ in range(ATTEMPTS):
        with contextlib.ExitStack() as machines:
            def boot_broken(*args, **kwargs):
                vm = boot(*args, qemu=binary, **kwargs)
                machines.callback(vm.close)
                return vm
            try:
                test(boot_broken)
            except (AssertionError, Failed):
                return
    pytest.fail(f"the test passes with {binary}")


@pytest.mark.machines("doorbell")
class TestMutants:
    def test_no_lock(self, boot):
        binary = requirements.beside("IPIDEFER_QEMU", "no-lock")
        test = test_races.TestEndedRegistration()
        assert_seen(boot, binary, test.test_no_bit_after_the_end)

    def test_behind_bql(self, boot, configuration, tool, tmp_path):
        binary = requirements.beside("IPIDEFER_QEMU", "behind-bql")
        names = itertools.count()

        def test(boot_broken):
            fifo = tmp_path / f"fifo{next(names)}"
            os.mkfifo(fifo)
            vm = boot_broken(options=configuration.named("web1", tool.folder))
            busy = test_doorbell.TestBusyMainLoop()
            busy.test_doorbell_does_not_wait_for_it(vm, tool, fifo)
        assert_seen(boot, binary, test)


# Of what QEMU does.
@pytest.mark.machines(long=["kvm-xapic"])
@pytest.mark.without("*-decided")
class TestDeliveryMutants:
    NEED_MSI = ("test_not_accepting_word_gets_the_interrupt",
                "test_untyped_vector_is_delivered_and_not_counted",
                "test_not_isolated_target_gets_the_interrupt",
                "test_one_write_for_all_targets",
                "test_multicast_of_an_untyped_vector")
    NEED_BIT = ("test_accepting_word_gets_the_bit_and_no_interrupt",
                "test_second_is_coalesced",
                "test_multicast_names_ids_from_its_base_on")

    @pytest.fixture
    def run_broken(self, qemu, puppet, options, configuration):
        """@return the names of those tests that fail with a mutant"""
        library = requirements.path("IPIDEFER_MUTANT_KVM")

        def run(mutant, names):
            failed = []
            with SharedPuppet(qemu, puppet, *options, configuration=configuration,
                              environment={"LD_PRELOAD": library,
                                           "IPIDEFER_MUTANT": mutant}) as vm:
                for name in names:
                    vm.fresh()
                    test_delivery.register_all(vm)
                    try:
                        getattr(test_delivery.TestDelivery(), name)(vm)
                    except AssertionError:
                        failed.append(name)
            return sorted(failed)
        return run

    def test_lost_msi(self, run_broken):
        assert run_broken("msi", self.NEED_MSI + self.NEED_BIT[:2]) == sorted(self.NEED_MSI)

    def test_lost_bit(self, run_broken):
        assert run_broken("bit", self.NEED_BIT + self.NEED_MSI[:3]) == sorted(self.NEED_BIT)

    def test_whole(self, run_broken):
        """The control."""
        assert run_broken("none", self.NEED_BIT + self.NEED_MSI) == []
