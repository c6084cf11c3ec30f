# SPDX-License-Identifier: GPL-2.0-or-later
"""Nobody can set a data breakpoint on what kernel entry looks at.

The entry of #DB itself looks at the entry word, and does what it says, before it
switches breakpoints off: one there would hit without end, and the vCPU be lost.
"""
import re

import pytest

from tests.support import requirements
from tests.support.linux_guest import ISOLATED, kernel_symbols

pytestmark = [pytest.mark.nested, pytest.mark.ctest(timeout=900, processors=2)]
KERNEL_TEXT = 0xffffffff80000000
CPUS = (0, ISOLATED[0])
# What entry uses, with or without deferral; and what it does not.
ENTRY_PER_CPU = ("ipi_defer_entry", "ipi_defer_target", "cpu_tlbstate")
ENTRY = ("ipi_defer_req",)
ELSE = ("saved_command_line",)


def word(guest, address):
    """8 bytes of the guest's memory, by the address of the kernel's data."""
    [value] = re.findall(r": 0x([0-9a-f]+)", guest.hmp(
        f"xp /1gx {address - KERNEL_TEXT:#x}"))
    return int(value, 16)


def set_breakpoint(guest, address, cpu):
    """What comes of a breakpoint there, that is never enabled."""
    [line] = guest.lines_of(f"data_breakpoint {address:#x} {cpu}")
    return line


class TestBreakpoint:
    def test_not_on_what_entry_uses(self, boot, kernel):
        guest = boot("ipi_defer=guest loops=", {
            "bin/data_breakpoint": requirements.path("IPIDEFER_ORACLE", "data_breakpoint")})
        symbols = {name: address for address, name in kernel_symbols(kernel)}
        places = {f"{name} of CPU {cpu}": symbols[name] +
                  word(guest, symbols["__per_cpu_offset"] + 8 * cpu)
                  for name in ENTRY_PER_CPU for cpu in CPUS}
        places.update({name: symbols[name] for name in ENTRY})
        for name, address in places.items():
            assert set_breakpoint(guest, address, ISOLATED[0]) == "Invalid argument"
        # The control: elsewhere it can be set.
        for name in ELSE:
            assert set_breakpoint(guest, symbols[name], ISOLATED[0]) == "set"
