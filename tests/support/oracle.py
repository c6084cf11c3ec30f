# SPDX-License-Identifier: GPL-2.0-or-later
"""What the guest's kernel sees of deferred work when an isolated vCPU enters it.

The kernel maps another page while an isolated vCPU is in userspace, and reads it in the
first C code of that vCPU's next entry; or it changes text, and looks whether that has
been accounted for (ipi_defer_test.c of the kernel series). QEMU caches translations as a
CPU does, so a flush that is missing or late shows as a stale read: with
ipi_defer_fault=drop_tlb_flush it must.
"""
import os
import re

from tests.support import requirements
from tests.support.linux_guest import ISOLATED

# How often each of the nine ways into the kernel is taken: some 11000 in all.
ROUNDS = int(os.environ.get("IPIDEFER_ORACLE_ROUNDS", "1250"))
TEST = "/sys/kernel/debug/x86/ipi_defer/test"
CPU = ISOLATED[0]
SYNC_CORE = 0xf5
KERNEL_TLBI = 0xea


def boot_oracle(boot, append, **kwargs):
    """@return a guest with the programs that enter the kernel"""
    files = {f"bin/{name}": requirements.path("IPIDEFER_ORACLE", name)
             for name in ("entry_oracle", "compat_entry")}
    return boot(f"ipi_defer_test {append}", files, **kwargs)


def ask(guest, entry, rounds):
    """The kernel's counts for rounds of entries."""
    text = "\n".join(guest.lines_of(f"entry_oracle {entry} {rounds} {CPU}"))
    found = re.search(r"== oracle (.*)", text)
    assert found is not None, text
    counts = dict(w.split("=") for w in found.group(1).split())
    assert counts.pop("entry") == entry
    return {name: int(count) for name, count in counts.items()}
