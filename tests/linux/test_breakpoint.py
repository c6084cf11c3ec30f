#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Nobody can set a data breakpoint on what kernel entry looks at.

    test_breakpoint.py [-v] [CLASS[.TEST]]...

Environment: as linux_guest.py, and IPIDEFER_ORACLE, a folder with data_breakpoint.
Status: 0 passed, 1 failed, 77 something is missing.

The entry of #DB itself looks at the entry word, and does what it says, before it
switches breakpoints off: one there would hit without end, and the vCPU be lost.
"""
import os
import re
import sys
import unittest

from linux_guest import ISOLATED, GuestCase, kernel_symbols, missing

PROGRAM = os.path.join(os.environ.get("IPIDEFER_ORACLE", ""), "data_breakpoint")
KERNEL_TEXT = 0xffffffff80000000
CPUS = (0, ISOLATED[0])
# What entry uses, with or without deferral; and what it does not.
ENTRY_PER_CPU = ("ipi_defer_entry", "ipi_defer_target", "cpu_tlbstate")
ENTRY = ("ipi_defer_req",)
ELSE = ("saved_command_line",)


class Breakpoint(GuestCase):
    def word(self, address):
        """8 bytes of the guest's memory, by the address of the kernel's data."""
        [value] = re.findall(r": 0x([0-9a-f]+)", self.m.hmp(
            f"xp /1gx {address - KERNEL_TEXT:#x}"))
        return int(value, 16)

    def set(self, address, cpu):
        """What comes of a breakpoint there, that is never enabled."""
        [line] = self.m.lines_of(f"data_breakpoint {address:#x} {cpu}")
        return line

    def test_not_on_what_entry_uses(self):
        self.boot("ipi_defer=guest loops=", {"bin/data_breakpoint": PROGRAM})
        symbols = {name: address for address, name in kernel_symbols()}
        places = {f"{name} of CPU {cpu}": symbols[name] +
                  self.word(symbols["__per_cpu_offset"] + 8 * cpu)
                  for name in ENTRY_PER_CPU for cpu in CPUS}
        places.update({name: symbols[name] for name in ENTRY})
        for name, address in places.items():
            with self.subTest(place=name):
                self.assertEqual(self.set(address, ISOLATED[0]), "Invalid argument")
        # The control: elsewhere it can be set.
        for name in ELSE:
            self.assertEqual(self.set(symbols[name], ISOLATED[0]), "set")


if __name__ == "__main__":
    if not_there := missing(**{"IPIDEFER_ORACLE/data_breakpoint": PROGRAM}):
        print("skipped:", "; ".join(not_there))
        sys.exit(77)
    unittest.main()
