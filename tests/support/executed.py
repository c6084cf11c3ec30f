# SPDX-License-Identifier: GPL-2.0-or-later
"""What a vCPU has executed of some of the kernel's functions.

The guest's kernel can only say where it has been. QEMU can tell what was executed: it
logs each block of translated code of these functions that it begins.
"""
import bisect
import os
import re

from tests.support.linux_guest import kernel_symbols
from tests.support.machine import Failed

BEGUN = re.compile(r"Trace (\d+): 0x[0-9a-f]+ \[[0-9a-f]+/([0-9a-f]+)/")


class Executed:
    """The log of a QEMU under TCG that is started with self.args."""

    def __init__(self, folder, kernel, functions):
        """
        @param folder: where the log is to be
        @param kernel: the folder of its build
        @param functions: the names of those to be watched
        """
        self._path = os.path.join(folder, "executed")
        symbols = kernel_symbols(kernel)
        addresses = [address for address, _ in symbols]
        # By name: the first address, and the one behind the last.
        self.range = {}
        for address, name in symbols:
            if name in functions:
                end = addresses[bisect.bisect_right(addresses, address)]
                self.range[name] = (address, end)
        if len(self.range) != len(functions):
            raise Failed(f"of {functions} there are {self.range}")
        # Blocks that are chained to others are not logged.
        self.args = ("-d", "exec,nochain", "-D", self._path, "-dfilter", ",".join(
            f"{start:#x}..{end - 1:#x}" for start, end in self.range.values()))
        self._at = 0

    def forget(self):
        """What was executed until now is not asked for."""
        self._at = os.path.getsize(self._path)

    def blocks(self, cpu):
        """@return the addresses of those that a vCPU has begun since the last look"""
        return [address for at, address in self._all_blocks() if at == cpu]

    def _all_blocks(self):
        with open(self._path) as log:
            log.seek(self._at)
            text = log.read()
            self._at = log.tell()
        return [(int(begun[1]), int(begun[2], 16)) for begun in BEGUN.finditer(text)]

    def calls(self):
        """@return pairs of a vCPU and the name of a function that it has begun, since
        the last look"""
        names = {start: name for name, (start, _) in self.range.items()}
        return [(cpu, names[address]) for cpu, address in self._all_blocks()
                if address in names]
