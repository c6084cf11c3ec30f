# SPDX-License-Identifier: GPL-2.0-or-later
"""Rings beside all that changes what they look at. IPIDEFER_RACE_SECONDS is how long each
race runs, 8 if it is not set.
"""
import os
import time

import pytest

from tests.support.contract import (ACCEPT, BIT, MSR_ICR, MSR_REGISTER, VECTOR,
                                    binding, msr, table, word)
from tests.support.migration import load

pytestmark = [pytest.mark.qemu, pytest.mark.ctest(timeout=900, processors=2)]
FOREVER = 0x7fffffff
PLAIN_RAM = 0xd0000     # which PAM can map and unmap


def race_seconds():
    """How long each race runs."""
    return float(os.environ.get("IPIDEFER_RACE_SECONDS", "8"))


def verdicts(vm, *cpus):
    """How many rings at these have had one."""
    return sum(n for cpu in cpus
               for n in vm.counters(cpu, VECTOR).values())


def change_registrations(vm):
    """By a CPU that is not rung at, for one that is: its own WRMSR waits
    for nobody."""
    for cpu in 2, 3:
        vm.wrmsr(cpu, MSR_REGISTER, 0)
        vm.wrmsr(cpu, MSR_REGISTER, msr(table(cpu), 1))


def change_memory(vm):
    for _ in range(10):
        vm.pam(PLAIN_RAM, 0)
        vm.pam(PLAIN_RAM, 3)


def stop_and_go(vm):
    vm.qmp("stop")
    vm.qmp("cont")


def look(vm):
    vm.qmp("query-ipi-defer")


@pytest.mark.machines("doorbell", "kvm-xapic")
class TestRace:
    """Rings beside all that changes what they look at.

    Each ring has exactly one verdict, whatever happens (I1): CPU 0 stays
    registered, so the vector is typed all the time.
    """

    rings = 2000

    def test_race(self, boot):
        vm = boot()
        vm.register(0)
        vm.pam(PLAIN_RAM, 3)
        # CPU 3's word is where memory comes and goes.
        vm.write(table(2), binding(word(2)))
        vm.write(table(3), binding(PLAIN_RAM))
        for cpu in 2, 3:
            vm.wrmsr(cpu, MSR_REGISTER, msr(table(cpu), 1))
        vm.w32(word(2), ACCEPT)
        vm.w32(PLAIN_RAM, ACCEPT)
        changes = [change_registrations, change_memory, look, stop_and_go]
        end = time.monotonic() + race_seconds()
        n = 0
        while time.monotonic() < end or n < len(changes):
            before = verdicts(vm, 2, 3)
            vm.tell(1, "!ring", MSR_ICR, 2 + n % 2, VECTOR, self.rings, 7)
            changes[n % len(changes)](vm)
            changes[(n // 2) % len(changes)](vm)
            vm.tell(1, "wait")
            assert verdicts(vm, 2, 3) - before == self.rings, f"round {n}"
            n += 1
        # And a reset in the middle of it, after which all is well.
        for _ in range(3):
            vm.tell(1, "!ring", MSR_ICR, 2, VECTOR, FOREVER, 7)
            vm.qmp("system_reset")
            vm.wait_ready()
        vm.register(3)
        vm.w32(word(3), ACCEPT)
        vm.ring(0, 3 << 32 | VECTOR)
        assert vm.r32(word(3)) == ACCEPT | BIT


@pytest.mark.machines("doorbell", "kvm-xapic")
class TestRaceMigration:
    """Rings while the guest migrates, with work pending, again and again.

    The ring's loop is the guest's and goes on where it arrives. Each ring has
    exactly one verdict, at the source or at the destination (I1), and the
    recorded bit comes along.
    """

    rings = 60000

    def test_race(self, boot, tmp_path):
        stream = f"file:{tmp_path}/stream"
        vm = boot()
        vm.register(2)
        vm.w32(word(2), ACCEPT)
        end = time.monotonic() + race_seconds()
        rings, n, in_the_middle = self.rings, 0, 0
        while time.monotonic() < end or (not in_the_middle and n < 12):
            before = verdicts(vm, 2)
            vm.w32(word(2), ACCEPT)
            vm.tell(1, "!ring", MSR_ICR, 2, VECTOR, rings, 31)
            vm.qmp("migrate", uri=stream)
            vm.wait_migrated()
            there = verdicts(vm, 2) - before
            vm.close()
            vm = load(boot, stream)
            vm.tell(1, "wait")
            here = verdicts(vm, 2)
            assert there + here == rings, f"round {n}"
            assert vm.r32(word(2)) == ACCEPT | BIT
            assert vm.taken(2, VECTOR) == 0
            in_the_middle += there > 0 and here > 0
            if not here:        # A busy host was too slow to migrate.
                rings *= 2
            n += 1
        assert in_the_middle > 0, f"of {n} migrations"


def unplug_options(configuration):
    """Whichever vCPU comes is isolated."""
    return ("-object",
            f"ipi-defer,id=d0,isolated-cpus=2-31,idle=on{configuration.properties}")


def absent_cpus(vm, count):
    """What device_add wants for each vCPU that is not there."""
    return [dict(driver="qemu64-x86_64-cpu",
                 **{k.replace("-", "_"): v for k, v in c["props"].items()})
            for c in reversed(vm.qmp("query-hotpluggable-cpus"))
            if "qom-path" not in c][:count]


def is_recorded_soon(vm, cpu):
    """Whether a ring at a registered vCPU is recorded within two seconds."""
    end = time.monotonic() + 2
    while not vm.r32(word(cpu)) & BIT:
        if time.monotonic() > end:
            return False
    return True


@pytest.mark.machines("doorbell", "kvm-xapic")
class TestRaceUnplug:
    """Rings at a vCPU that is unplugged and comes back.

    As often as TCG can start a vCPU: it keeps room for as many threads as the
    machine may have CPUs, and takes it up with each one that is plugged in.
    """

    max_cpus = 32
    rings = 200000

    @pytest.fixture(scope="class")
    def options(self, configuration):
        return unplug_options(configuration)

    def test_race(self, boot):
        vm = boot(cpus=f"3,maxcpus={self.max_cpus}", machine="pc")
        vm.register(0)
        vm.legacy_hotplug_off()
        # Under KVM each vCPU once: test_lifetime.py says why.
        different = self.max_cpus - 3 if vm.configuration.kvm else 5
        slots = absent_cpus(vm, different)
        assert len(slots) == different
        end = time.monotonic() + race_seconds()
        for n in range(self.max_cpus - 3):
            cpu = 3 + n % len(slots)
            vm.qmp("device_add", id="extra", **slots[n % len(slots)])
            vm.tell(0, "start", cpu)
            vm.write(table(cpu), binding(word(cpu)))
            vm.w32(word(cpu), ACCEPT)
            vm.tell(1, "!ring", MSR_ICR, cpu, VECTOR, self.rings, 1)
            for _ in range(n % 3 * 5):
                vm.wrmsr(cpu, MSR_REGISTER, msr(table(cpu), 1))
                vm.wrmsr(cpu, MSR_REGISTER, 0)
            vm.wrmsr(cpu, MSR_REGISTER, msr(table(cpu), 1))
            rings = self.rings
            while not is_recorded_soon(vm, cpu):
                # On a busy host they were over before the vCPU was registered.
                rings *= 2
                assert rings < 100 * self.rings, "no ring is recorded"
                vm.tell(1, "wait")
                vm.tell(1, "!ring", MSR_ICR, cpu, VECTOR, rings, 1)
            vm.qmp("device_del", id="extra")
            vm.eject(cpu)
            assert vm.online_cpus() == 3
            # Nobody records for a vCPU that is gone (I2).
            vm.w32(word(cpu), ACCEPT)
            vm.tell(1, "wait")
            assert vm.r32(word(cpu)) == ACCEPT, f"round {n}"
            if time.monotonic() > end:
                break
        vm.register(2)
        vm.w32(word(2), ACCEPT)
        vm.ring(0, 2 << 32 | VECTOR)
        assert vm.r32(word(2)) == ACCEPT | BIT


@pytest.mark.machines("doorbell", "kvm-xapic")
class TestEndedRegistration:
    """When the WRMSR that ends a registration has returned, nobody records in
    its word any more (I2)."""

    rounds = 300

    def test_no_bit_after_the_end(self, boot):
        vm = boot()
        vm.register(0)
        vm.write(table(3), binding(word(3)))
        vm.tell(1, "!ring", MSR_ICR, 3, VECTOR, FOREVER, 0)
        for n in range(self.rounds):
            vm.w32(word(3), ACCEPT, cpu=3)
            vm.wrmsr(3, MSR_REGISTER, msr(table(3), 1))
            vm.wrmsr(3, MSR_REGISTER, 0)
            vm.w32(word(3), ACCEPT, cpu=3)
            time.sleep(0.0005)
            assert vm.r32(word(3), cpu=3) == ACCEPT, f"round {n}"
