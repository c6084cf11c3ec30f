# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest that says that it is ready has its boot behind it."""
import pytest

pytestmark = [pytest.mark.nested, pytest.mark.ctest(timeout=900, processors=2)]
SOURCES = "/sys/devices/system/clocksource/clocksource0/{}_clocksource"


class TestBoot:
    def test_clock_is_settled(self, boot):
        """Else the kernel interrupts and stops all CPUs when it has measured its TSC, in
        the midst of what a test counts: a second after it began to, or more."""
        guest = boot("ipi_defer=off")
        [sources] = guest.lines_of("cat " + SOURCES.format("available"))
        assert "tsc-early" not in sources.split()
        # The control: it has one of its own by then.
        [used] = guest.lines_of("cat " + SOURCES.format("current"))
        assert used == "tsc"
