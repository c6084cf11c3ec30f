# SPDX-License-Identifier: GPL-2.0-or-later
"""ipideferd and the command know a domain by the segment that its QEMU shares."""
import json
import re

import pytest

from tests.support.domains import run

pytestmark = [pytest.mark.libvirt, pytest.mark.long,
              pytest.mark.ctest(timeout=1200, processors=2)]


def verdicts(daemon, name):
    """Counts of the isolated vCPU by verdict, from the metrics."""
    start = f'ipidefer_ipis_total{{domain="{name}",vcpu="2",vector="sync_core",'
    counts = {}
    for series, value in daemon.metrics().items():
        if series.startswith(start):
            verdict = re.search(r'verdict="([^"]*)",reason="([^"]*)"', series)
            counts[verdict.groups()] = int(float(value))
    return counts


@pytest.fixture(scope="module", autouse=True)
def segments(qemu):
    """A QEMU that shares a segment with host tools."""
    if "segment=<" not in run(qemu, "-object", "ipi-defer,help").stdout:
        pytest.skip("this QEMU shares no segment")


class TestSegment:
    def test_metrics_policy_and_check_know_the_domain(self, domains):
        daemon = domains.daemon()
        domain = domains.define(domains.isolating(domains.plain()))
        domains.boot(domain)
        info = f'ipidefer_domain_info{{domain="{domains.name}",' \
            f'name="{domains.name}",uuid="{domain.UUIDString()}"}}'
        daemon.wait_until(info, lambda: daemon.metrics().get(info) == "1")

        domains.toggle()
        counts = verdicts(daemon, domains.name)
        assert counts["deferred", ""] > 0, counts
        counters = domains.counters(domain)
        assert counters["deferred"] == counts["deferred", ""]

        findings = domains.check()
        for name in "segment", "guest", "policy":
            assert findings[name]["grade"] == "pass", findings[name]

        # The kill switch takes effect at once; the check sees it.
        domains.ipidefer("policy", domains.name, "--off")
        before = verdicts(daemon, domains.name)
        domains.toggle()
        after = verdicts(daemon, domains.name)
        for verdict in ("deferred", ""), ("coalesced", ""):
            assert after[verdict] == before[verdict]
        assert after["delivered", "policy"] > before["delivered", "policy"]
        assert domains.check()["policy"]["grade"] == "warn"
        domains.ipidefer("policy", domains.name, "--on")

        domain.destroy()
        daemon.wait_until("the VM is gone", lambda: info not in daemon.metrics())
        assert daemon.close() == 0

    def test_policy_of_a_domain_is_applied_when_it_starts(self, domains):
        uuid = "5a3bd4a4-1111-4222-8333-944445555666"
        daemon = domains.daemon({uuid: {"max_age": "250ms", "idle": "on"}})
        xml = domains.isolating(domains.plain()).replace(
            "</name>", f"</name>\n  <uuid>{uuid}</uuid>").replace(
            "segment=on", f"segment=on,segment-name={domains.name}-segment")
        domain = domains.define(xml)
        for _ in range(2):  # each time
            domains.boot(domain)

            def policy():
                result = domains.ipidefer("policy", f"{domains.name}-segment", "--json")
                return json.loads(result.stdout)
            daemon.wait_until("the policy is there",
                              lambda: policy()["max_age_ns"] == 250_000_000)
            assert policy()["idle"]
            info = f'ipidefer_domain_info{{domain="{domains.name}-segment",' \
                f'name="{domains.name}",uuid="{uuid}"}}'
            assert daemon.metrics().get(info) == "1"
            domain.destroy()
        assert daemon.close() == 0
