# SPDX-License-Identifier: GPL-2.0-or-later
"""A domain of libvirt, from plain XML to deferral, saved and restored, and checked."""
import json
import os
import shutil

import pytest

from tests.support import libvirtd as own
from tests.support.domains import ISOLATED, run

pytestmark = pytest.mark.ctest(timeout=1200, processors=2)


@pytest.mark.libvirt
class TestLife:
    def test_from_a_plain_domain_to_deferral(self, domains):
        domain = domains.define(domains.isolating(domains.plain()))
        domains.boot(domain)
        housekeeping, isolated = domains.cpus[:2]
        assert domains.affinities(domain) == {
            0: {housekeeping}, 1: {housekeeping}, 2: {isolated}}
        domains.toggle()
        deferred = domains.deferred(domain)
        assert deferred > 0, domains.counters(domain)

        # The kill switch, by QMP: the same work, and nothing deferred.
        domains.qmp(domain, "qom-set", path="/objects/defer0",
                    property="enabled", value=False)
        delivered = domains.counters(domain).get("delivered-policy", 0)
        deferred = domains.deferred(domain)
        domains.toggle()
        assert domains.deferred(domain) == deferred
        assert domains.counters(domain)["delivered-policy"] > delivered
        domains.qmp(domain, "qom-set", path="/objects/defer0",
                    property="enabled", value=True)
        domains.toggle()
        assert domains.deferred(domain) > deferred

    def test_saved_and_restored_it_defers_again(self, domains):
        domain = domains.define(domains.isolating(domains.plain()))
        domains.boot(domain)
        domains.toggle()
        assert domains.deferred(domain) > 0
        file = os.path.join(domains.libvirtd.run, "saved")
        domain.save(file)
        assert not domain.isActive()
        domains.libvirtd.connection.restore(file)
        assert domain.isActive()
        cpu = domains.qmp(domain, "query-ipi-defer")["cpus"][ISOLATED]
        assert cpu["registered"]
        domains.connect_console()
        before = domains.deferred(domain)
        domains.toggle()
        assert domains.deferred(domain) > before

    def test_check_of_a_running_domain(self, domains):
        domain = domains.define(domains.isolating(domains.plain()))
        stopped = domains.check()
        assert "guest" not in stopped
        domains.boot(domain)
        findings = domains.check()
        for name in ("object", "emulator", "accelerator", "vcpupin",
                     "emulatorpin", "vcpupin-others", "kernel"):
            assert findings[name]["grade"] == "pass", findings[name]
        assert "guest" in findings
        # What libvirt changes while the domain runs is seen.
        domain.pinVcpuFlags(0, tuple(cpu == domains.cpus[1] for cpu in
                                     range(domains.cpus[1] + 1)),
                            domains.libvirt.VIR_DOMAIN_AFFECT_LIVE)
        assert domains.check(status=2)["vcpupin-others"]["grade"] == "fail"
        result = run(domains.program, "check", "--domain", "nonexistent",
                     "--connect", domains.libvirtd.uri, status=1)
        assert "no domain 'nonexistent'" in result.stderr

    def test_plain_domain_fails_the_check(self, domains):
        # Some emulator, should the host have none of its own.
        with open(domains.plain()) as file:
            domains.define(file.read().replace(
                "<devices>", f"<devices><emulator>{domains.qemu}</emulator>"))
        findings = domains.check(status=2)
        assert findings["object"]["grade"] == "fail"
        assert findings["vcpupin"]["grade"] == "fail"

    def test_qemu_without_the_object(self, domains, stock):
        stock = domains.libvirtd.share(shutil.copyfile(
            stock, os.path.join(domains.folder, "stock")))
        result = run(domains.program, "domain", "--from", domains.plain(),
                     "--isolated", "2", "--emulator", stock,
                     "--host-isolated", str(domains.cpus[1]), status=2)
        assert "has no ipi-defer object" in result.stderr
        # If somebody insists.
        xml = domains.isolating(domains.plain()).replace(domains.qemu, stock)
        domain = domains.define(xml)
        with pytest.raises(domains.libvirt.libvirtError) as raised:
            domain.create()
        assert "ipi-defer" in str(raised.value)
        assert domains.check(status=2)["emulator"]["grade"] == "fail"


@pytest.mark.kvm_linux
@pytest.mark.soak
class TestLifeUnderKvm:
    """The same of a domain of KVM."""

    def test_from_a_plain_domain_to_deferral(self, domains):
        TestLife().test_from_a_plain_domain_to_deferral(domains)

    def test_saved_and_restored_it_defers_again(self, domains):
        TestLife().test_saved_and_restored_it_defers_again(domains)

    def test_check_of_a_running_domain(self, domains):
        TestLife().test_check_of_a_running_domain(domains)


@pytest.mark.in_box
class TestLifeUnderTheSystemsLibvirtd(TestLifeUnderKvm):
    """The same where QEMU is another user's than the daemon, and in cgroups."""

    @pytest.fixture(scope="class")
    def daemon(self):
        return own.SystemLibvirtd

    def test_blame_knows_a_domain_by_its_name(self, domains):
        domain = domains.define(domains.isolating(domains.plain()))
        stopped = domains.ipidefer("blame", "--domain", domains.name, status=1)
        assert f"domain '{domains.name}' does not run" in stopped.stderr
        domains.boot(domain)
        with open(os.path.join(domains.libvirtd.pids(), f"{domains.name}.pid")) as file:
            pid = int(file.read())
        for name in domains.name, domain.UUIDString():
            report = json.loads(domains.ipidefer("blame", "--domain", name, "--duration",
                                                 "3s", "--json").stdout)
            assert report["pid"] == pid
            assert report["vcpus"], report
