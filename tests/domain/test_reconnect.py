# SPDX-License-Identifier: GPL-2.0-or-later
"""ipideferd, while libvirtd dies and comes back."""
import os
import signal

import pytest

pytestmark = [pytest.mark.libvirt, pytest.mark.long,
              pytest.mark.ctest(timeout=1200, processors=2)]


class TestReconnect:
    """ipideferd, while libvirtd dies and comes back."""

    def test_libvirtd_that_comes_later_dies_and_comes_back(self, domains):
        domains.libvirtd.kill()
        daemon = domains.daemon()

        def connected(value):
            daemon.wait_until(f"connected is {value}",
                              lambda: daemon.metrics()["ipidefer_libvirt_connected"] == value)
        connected("0")
        domains.libvirtd.start()
        connected("1")
        domain = domains.define(domains.isolating(domains.plain()))
        domains.boot(domain)
        said = f"libvirt: domain '{domains.name}' runs, UUID " + \
            domain.UUIDString()
        daemon.wait_until(said, lambda: said in daemon.output())
        domains.libvirtd.kill()
        connected("0")
        assert "libvirt: connection lost" in daemon.output()
        assert "has ended" not in daemon.output()  # it runs on
        domains.libvirtd.start()
        connected("1")
        domain = domains.libvirtd.connection.lookupByName(domains.name)
        assert domain.isActive()
        domains.toggle()
        assert domains.deferred(domain) > 0
        domain.destroy()
        ended = f"libvirt: domain '{domains.name}' has ended"
        daemon.wait_until(ended, lambda: ended in daemon.output())
        # Said once each.
        assert daemon.output().count(said) == 1
        assert daemon.close() == 0

    def test_libvirtd_that_hangs_holds_nothing_up(self, domains):
        daemon = domains.daemon()
        daemon.wait_until("connected",
                          lambda: daemon.metrics()["ipidefer_libvirt_connected"] == "1")
        pid = domains.libvirtd.pid("libvirtd.pid")
        os.kill(pid, signal.SIGSTOP)
        try:
            # Found out by keepalive; scraping goes on all the time.
            daemon.wait_until("the connection is given up",
                              lambda: daemon.metrics()["ipidefer_libvirt_connected"] == "0")
            assert daemon.close() == 0
        finally:
            os.kill(pid, signal.SIGCONT)
