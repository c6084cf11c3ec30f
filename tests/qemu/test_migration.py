# SPDX-License-Identifier: GPL-2.0-or-later
"""Registrations and recorded work go with the guest, and counters and policy do not."""
import contextlib
import socket
import threading

import pytest

from tests.support.contract import (ACCEPT, BIT, BIT2, MIB, MSR_REGISTER, OTHER,
                                    VECTOR, binding, msr, table, word)
from tests.support.migration import load, refused_stream, save, tamper

pytestmark = [pytest.mark.qemu, pytest.mark.ctest(timeout=900, processors=2)]


def prepared(boot):
    """Pending work, and a table that has been overwritten since."""
    vm = boot()
    vm.register(3, binding(word(3)), binding(word(3), OTHER, bit=BIT2))
    vm.write(table(3), b"\xff" * 64)
    vm.w32(word(3), ACCEPT)
    vm.ipi(3)
    return vm


def verify(vm):
    assert vm.rdmsr(3, MSR_REGISTER) == msr(table(3), 2)
    assert vm.rdmsr(2, MSR_REGISTER) == 0
    assert vm.r32(word(3)) == ACCEPT | BIT
    assert vm.taken(3, VECTOR) == 0
    # Counters stay behind.
    assert vm.counters(3, VECTOR) == {}
    vm.ipi(3)
    vm.ipi(3, OTHER)
    assert vm.r32(word(3)) == ACCEPT | BIT | BIT2
    assert vm.counters(3, VECTOR) == {"coalesced": 1}
    assert vm.counters(3, OTHER) == {"deferred": 1}
    vm.w32(word(3), 0)
    vm.ipi(3)
    assert vm.taken(3, VECTOR) == 1


@pytest.mark.machines("tcg-xapic", long=["tcg-x2apic", "doorbell", "kvm-xapic",
                                         "kvm-x2apic"])
class TestMigration:
    @pytest.fixture
    def stream(self, tmp_path):
        return tmp_path / "stream"

    @pytest.fixture
    def closing(self):
        with contextlib.ExitStack() as stack:
            yield stack

    def test_file(self, boot, stream):
        vm = prepared(boot)
        save(vm, f"file:{stream}")
        vm = load(boot, f"file:{stream}")
        verify(vm)

    @pytest.mark.without("doorbell", "kvm-*")
    def test_exec(self, boot, stream):
        vm = prepared(boot)
        save(vm, f"exec:cat >{stream}")
        vm = load(boot, f"exec:cat {stream}")
        verify(vm)

    def test_twice(self, boot, stream):
        vm = prepared(boot)
        save(vm, f"file:{stream}")
        vm = load(boot, f"file:{stream}")
        save(vm, f"file:{stream}")
        vm = load(boot, f"file:{stream}")
        verify(vm)

    @pytest.mark.without("tcg-x2apic", "doorbell", "kvm-*")
    def test_policy_is_the_destinations(self, boot, stream):
        vm = prepared(boot)
        save(vm, f"file:{stream}")
        vm = load(boot, f"file:{stream}", options=(
            "-object", "ipi-defer,id=d0,isolated-cpus=1,enabled=off"))
        assert vm.rdmsr(3, MSR_REGISTER) == msr(table(3), 2)
        assert vm.r32(word(3)) == ACCEPT | BIT
        vm.ipi(3)
        assert vm.taken(3, VECTOR) == 1

    @pytest.mark.without("kvm-*")
    def test_lost_word_stays_lost(self, boot, stream):
        vm = boot()
        hole = 0xd0000
        vm.pam(hole, 3)
        vm.register(3, binding(hole), binding(word(3), OTHER))
        vm.pam(hole, 0)
        vm.pam(hole, 3)
        vm.w32(hole, ACCEPT)
        vm.w32(word(3), ACCEPT)
        save(vm, f"file:{stream}")
        vm = load(boot, f"file:{stream}")
        vm.ipi(3)
        vm.ipi(3, OTHER)
        assert vm.r32(hole) == ACCEPT
        assert vm.counters(3, VECTOR) == {"delivered-bad-word": 1}
        assert vm.r32(word(3)) == ACCEPT | BIT

    @pytest.mark.without("doorbell", "kvm-*")
    def test_word_in_memory_that_a_device_maps(self, boot, stream):
        """The memory map must have arrived before the words are looked up."""
        vm = boot()
        hole = 0xd0000
        vm.pam(hole, 3)
        vm.register(3, binding(hole))
        vm.w32(hole, ACCEPT)
        save(vm, f"file:{stream}")
        vm = load(boot, f"file:{stream}")
        vm.ipi(3)
        assert vm.r32(hole) == ACCEPT | BIT

    @pytest.mark.without("kvm-x2apic")
    def test_reset_after_migration_ends_it(self, boot, stream):
        vm = prepared(boot)
        save(vm, f"file:{stream}")
        vm = load(boot, f"file:{stream}")
        vm.qmp("system_reset")
        vm.wait_ready()
        assert vm.rdmsr(3, MSR_REGISTER) == 0

    @pytest.mark.without("tcg-x2apic", "kvm-x2apic")
    def test_destination_without_object_is_refused(self, boot, stream):
        vm = prepared(boot)
        save(vm, f"file:{stream}")
        assert "'ipi-defer-offer'" in refused_stream(
            boot, f"exec:cat {stream}", options=())

    @pytest.mark.without("tcg-x2apic", "kvm-*")
    def test_unregistered_guest_needs_the_object_too(self, boot, stream):
        """It may have seen the leaf, and register at any time."""
        vm = boot()
        save(vm, f"file:{stream}")
        assert "'ipi-defer-offer'" in refused_stream(
            boot, f"exec:cat {stream}", options=())

    def test_recorded_after_its_page_was_sent(self, boot, stream, closing):
        """Live: only marking the page dirty can bring the bit across.

        Memory is sent by ascending address. The receiver stops reading once
        the word's page has come by. What follows does not fit into the
        socket's buffers, so QEMU cannot be done before the bit is recorded.
        """
        mark = b"the page of the word"
        vm = boot()
        vm.register(3)
        vm.w32(word(3), ACCEPT)
        vm.write(word(3) + 64, mark)
        vm.tell(0, "pages", 8 * MIB, 16 * MIB // 4096, 0x12345678)
        path = f"{stream}.socket"
        listener = closing.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(path)
        listener.listen(1)
        received = bytearray()
        seen, go_on = threading.Event(), threading.Event()

        def receive():
            connection, _ = listener.accept()
            with connection:
                while data := connection.recv(4096):
                    received.extend(data)
                    if not seen.is_set() and mark in received:
                        seen.set()
                        go_on.wait(60)

        thread = threading.Thread(target=receive, daemon=True)
        thread.start()
        vm.qmp("migrate", uri=f"unix:{path}")
        assert seen.wait(60)
        vm.ipi(3)
        assert vm.counters(3, VECTOR) == {"deferred": 1}
        assert vm.qmp("query-migrate")["status"] == "active"
        go_on.set()
        vm.wait_migrated()
        vm.close()
        thread.join(60)
        assert not thread.is_alive()
        assert received.count(mark) == 2
        stream.write_bytes(received)
        vm = load(boot, f"exec:cat {stream}")
        assert vm.r32(word(3)) == ACCEPT | BIT
        assert vm.taken(3, VECTOR) == 0

    @pytest.mark.without("doorbell", "kvm-*")
    def test_bad_streams_are_refused(self, boot, stream):
        """I7 for what arrives: each named by what is wrong with it."""
        row = binding(word(3), vector=0x77, bit=0x40000000)
        for what, bad in (
                ("work", binding(word(3), vector=0x77, bit=0x41000000)),
                ("vector", binding(word(3), vector=0x07, bit=0x40000000)),
        ):
            vm = boot()
            vm.register(3, row)
            vm.write(table(3), bytes(32))
            save(vm, f"exec:cat >{stream}")
            tamper(stream, row, bad)
            assert ("ipi-defer: CPU 3: incoming registration"
                    in refused_stream(
                boot, f"exec:cat {stream}"))

    @pytest.mark.only("doorbell")
    def test_destination_without_doorbell_is_refused(self, boot, stream):
        vm = prepared(boot)
        save(vm, f"file:{stream}")
        error = refused_stream(boot, f"exec:cat {stream}", options=(
            "-object", "ipi-defer,id=d0,isolated-cpus=2-3"))
        assert ("the guest was offered doorbell, doorbell-multi, and here it would find icr "
                "in CPUID") in error
