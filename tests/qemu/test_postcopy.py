# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest runs here while most of its memory is where it came from."""
import re
import time

import pytest

from tests.support.contract import ACCEPT, BIT, MIB, VECTOR, word
from tests.support.machine import wait_until

pytestmark = [pytest.mark.qemu, pytest.mark.ctest(timeout=900, processors=2)]


def requested(folder):
    """@return the pages of RAM that have been asked for, as addresses"""
    with open(folder / "log") as log:
        return {int(offset, 16) for offset in re.findall(
            r"fault_thread_request .* rb=pc\.ram offset=0x([0-9a-f]+)",
            log.read())}


def start_postcopy(boot, folder, *args, **kwargs):
    """CPU 3's word has work and stays behind.

    @return the machine that it came from, and the one where it runs
    """
    uri = f"unix:{folder}/socket"
    source = boot()
    source.register(3)
    source.w32(word(3), ACCEPT)
    source.send(VECTOR, 3)
    # Pages are sent by ascending address, and these are before the word's.
    source.tell(0, "pages", 2 * MIB, 2 * MIB // 4096, 0x12345678)
    vm = boot("-incoming", "defer", "-D", f"{folder}/log", "-trace",
              "postcopy_ram_fault_thread_request", *args,
              boot=False, **kwargs)
    for m in source, vm:
        m.qmp("migrate-set-capabilities", capabilities=[
            {"capability": "postcopy-ram", "state": True}])
    vm.qmp("migrate-incoming", uri=uri)
    # So slow that no page comes unless it is asked for.
    source.qmp("migrate-set-parameters", max_bandwidth=4096,
               max_postcopy_bandwidth=4096)
    source.qmp("migrate", uri=uri)
    source.qmp("migrate-start-postcopy")
    wait_until("the guest runs here",
               lambda: vm.qmp("query-status")["running"])
    return source, vm


def finish(vm, source):
    source.qmp("migrate-set-parameters", max_postcopy_bandwidth=0)
    source.wait_migrated()
    vm.wait_migrated()


@pytest.mark.machines("doorbell", "tcg-xapic")
class TestPostcopy:
    """Of a sender's way, the local APIC asks with QEMU's big lock held, the doorbell
    does not."""

    def test_senders_do_not_wait_for_the_page(self, boot, tmp_path):
        """Else one would, with a lock that the main loop needs."""
        source, vm = start_postcopy(boot, tmp_path)
        vm.send(VECTOR, 3)
        assert vm.counters(3, VECTOR) == {"delivered-bad-word": 1}
        assert vm.taken(3, VECTOR) == 1
        assert word(3) not in requested(tmp_path)
        vm.qmp("query-ipi-defer")
        finish(vm, source)
        # What was recorded there is still to be done, and no word is lost.
        assert vm.r32(word(3)) == ACCEPT | BIT
        vm.send(VECTOR, 3)
        assert vm.counters(3, VECTOR) == {"delivered-bad-word": 1, "coalesced": 1}
        assert vm.taken(3, VECTOR) == 1

    @pytest.mark.only("doorbell")
    def test_tick_does_not(self, boot, tmp_path, configuration):
        """Else the main loop, with the BQL, would wait for the page."""
        source, vm = start_postcopy(boot, tmp_path, options=configuration.options(
            ",segment=on,segment-name=postcopy,max-age-ns=1000,"
            f"segment-dir={tmp_path}"))
        time.sleep(1)           # That is ten ticks and more.
        # Nor does the monitor.
        assert "word" not in vm.defer(3)["bindings"][0]
        assert word(3) not in requested(tmp_path)
        finish(vm, source)
        wait_until("a tick that looks at the word",
                   lambda: vm.counters(3, VECTOR).get("max-age"))
        assert vm.r32(word(3)) == ACCEPT | BIT
