# SPDX-License-Identifier: GPL-2.0-or-later
"""Does a vCPU execute a serializing instruction before code that may have changed?

IRET ends a block of translated code; the next one begins behind it. A kernel whose
sync_core() is another instruction is none that this can judge.
"""
import re

from tests.support.executed import Executed
from tests.support.machine import Failed

IRETQ = b"\x48\xcf"
# Where sync_core() is inlined: entry's work, and the vector's handler.
WORKERS = ("arch_ct_work", "__sysvec_ipi_defer_sync_core")
# Comes after them, in place of code that was changed.
PROBE = "ipi_defer_test_probe"


class Watch(Executed):
    """What was executed of a QEMU that is started with self.args."""

    def __init__(self, folder, kernel):
        super().__init__(folder, kernel, (*WORKERS, PROBE))

    def start(self, machine):
        """Find the instructions, as they are once the kernel has patched itself."""
        if machine.lines_of("grep -wo serialize /proc/cpuinfo"):
            raise Failed("sync_core() is SERIALIZE, which ends no block")
        self._behind = set()
        for name in WORKERS:
            start, end = self.range[name]
            text = bytes(int(byte, 16) for line in
                         machine.hmp(f"x /{end - start}xb {start:#x}").splitlines()
                         for byte in line.split(":")[1].split())
            found = [at.end() for at in re.finditer(re.escape(IRETQ), text)]
            if not found:
                raise Failed(f"no IRET in {name}")
            self._behind |= {start + at for at in found}
        self.forget()

    def probes(self, cpu):
        """For each probe of a vCPU since the last look: had it serialized since the
        probe before?"""
        seen, serialized = [], False
        for address in self.blocks(cpu):
            if address in self._behind:
                serialized = True
            elif address == self.range[PROBE][0]:
                seen.append(serialized)
                serialized = False
        return seen
