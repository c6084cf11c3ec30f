# SPDX-License-Identifier: GPL-2.0-or-later
"""Without the object, the patched QEMU is the unpatched one."""
import pytest

from tests.support.contract import CPUID_BASE, MSR_ICR, MSR_ICR_MULTI, MSR_REGISTER
from tests.support.migration import load, save
from tests.support.puppet import Puppet, Refused

pytestmark = [pytest.mark.qemu, pytest.mark.ctest(timeout=900, processors=2)]


@pytest.fixture
def both(qemu, stock, puppet, configuration):
    """Starts the unpatched QEMU and the patched one: both(look, options) is what this
    function returns for each of them."""
    def look_at(look, *args, **kwargs):
        with Puppet(stock, puppet, *args, configuration=configuration, **kwargs) as first, \
                Puppet(qemu, puppet, *args, configuration=configuration, **kwargs) as second:
            return look(first), look(second)
    return look_at


def cpuid(m):
    leaves = (*range(0x0, 0x20), *range(0x40000000, 0x40000003),
              *range(0x40000100, 0x40001000, 0x100),
              CPUID_BASE + 1, *range(0x80000000, 0x80000020))
    # Leaf 1, 0xb and 0x1f tell the APIC ID; always ask CPU 0.
    return [(hex(leaf), m.cpuid(leaf, sub)) for leaf in leaves
            for sub in (0, 1)]


def msrs(m):
    """What each access to an MSR of ours comes to."""
    for number in MSR_REGISTER, MSR_ICR, MSR_ICR_MULTI:
        for what in (lambda: m.wrmsr(1, number, 0), lambda: m.rdmsr(1, number)):
            try:
                yield number, what()
            except Refused:
                yield number, "#GP"


@pytest.mark.machines("tcg-xapic", long=["kvm-xapic"])
class TestSameAsStock:
    def test_cpuid(self, both):
        stock, patched = both(cpuid)
        assert stock == patched

    @pytest.mark.only("tcg-*")
    def test_cpuid_max(self, both):
        stock, patched = both(cpuid, "-cpu", "max")
        assert stock == patched

    @pytest.mark.only("tcg-*")
    def test_msrs(self, both):
        stock, patched = both(lambda m: [m.wrmsr(1, n, 0xffffffff) or m.rdmsr(1, n)
                                         for n in (MSR_REGISTER, MSR_ICR)])
        assert stock == patched

    @pytest.mark.only("kvm-*")
    def test_msrs_are_refused_alike(self, both):
        stock, patched = both(lambda m: list(msrs(m)))
        assert stock == patched

    @pytest.mark.only("tcg-*")
    def test_device_tree_and_memory_map(self, both):
        # Sorted: address spaces come in the order of a hash of pointers.
        stock, patched = both(lambda m: [
            sorted(m.hmp(command).splitlines()) for command in
            ("info qtree", "info mtree", "info qom-tree /machine")], "-S", boot=False)
        assert stock == patched

    @pytest.mark.only("tcg-*")
    def test_vmstate_sections(self, boot, qemu, stock, tmp_path):
        """Each loads the other's stream."""
        uri = f"file:{tmp_path}/stream"
        for source, destination in (stock, qemu), (qemu, stock):
            save(boot(qemu=source), uri)
            vm = load(boot, uri, qemu=destination)
            assert len(vm.cpuid(0)) == 4
            vm.close()

    @pytest.fixture(scope="class")
    def options(self):
        return ()

    @pytest.mark.only("tcg-*")
    def test_types(self, both):
        """One more, and only that one."""
        stock, patched = both(lambda m: {t["name"] for t in m.qmp("qom-list-types")},
                              "-S", boot=False)
        assert patched - stock == {"ipi-defer"}
        assert stock - patched == set()
