# SPDX-License-Identifier: GPL-2.0-or-later
"""Does a vCPU execute a serializing instruction before code that may have changed?

The guest's kernel can only say that it has been where sync_core() is. QEMU can tell
what was executed: it logs each block of translated code of some functions that it
begins, and IRET ends a block. The next one begins behind it. A kernel whose sync_core()
is another instruction is none that this can judge.
"""
import bisect
import os
import re

from tests.support.linux_guest import kernel_symbols
from tests.support.machine import Failed

IRETQ = b"\x48\xcf"
# Where sync_core() is inlined: entry's work, and the vector's handler.
WORKERS = ("arch_ct_work", "__sysvec_ipi_defer_sync_core")
# Comes after them, in place of code that was changed.
PROBE = "ipi_defer_test_probe"
BEGUN = re.compile(r"Trace (\d+): 0x[0-9a-f]+ \[[0-9a-f]+/([0-9a-f]+)/")


class Watch:
    """The log of a QEMU that is started with self.args."""

    def __init__(self, folder, kernel):
        self._path = os.path.join(folder, "executed")
        symbols = kernel_symbols(kernel)
        addresses = [address for address, _ in symbols]
        self._range = {}
        for address, name in symbols:
            if name in (*WORKERS, PROBE):
                end = addresses[bisect.bisect_right(addresses, address)]
                self._range[name] = (address, end)
        if len(self._range) != len(WORKERS) + 1:
            raise Failed(f"of {WORKERS} and {PROBE} there are {self._range}")
        # Blocks that are chained to others are not logged.
        self.args = ("-d", "exec,nochain", "-D", self._path, "-dfilter", ",".join(
            f"{start:#x}..{end - 1:#x}" for start, end in self._range.values()))
        self._at = 0

    def start(self, machine):
        """Find the instructions, as they are once the kernel has patched itself."""
        if machine.lines_of("grep -wo serialize /proc/cpuinfo"):
            raise Failed("sync_core() is SERIALIZE, which ends no block")
        self._behind = set()
        for name in WORKERS:
            start, end = self._range[name]
            text = bytes(int(byte, 16) for line in
                         machine.hmp(f"x /{end - start}xb {start:#x}").splitlines()
                         for byte in line.split(":")[1].split())
            found = [at.end() for at in re.finditer(re.escape(IRETQ), text)]
            if not found:
                raise Failed(f"no IRET in {name}")
            self._behind |= {start + at for at in found}
        self._at = os.path.getsize(self._path)

    def probes(self, cpu):
        """For each probe of a vCPU since the last look: had it serialized since the
        probe before?"""
        with open(self._path) as log:
            log.seek(self._at)
            text = log.read()
            self._at = log.tell()
        seen, serialized = [], False
        for begun in BEGUN.finditer(text):
            if int(begun[1]) != cpu:
                continue
            address = int(begun[2], 16)
            if address in self._behind:
                serialized = True
            elif address == self._range[PROBE][0]:
                seen.append(serialized)
                serialized = False
        return seen
