# SPDX-License-Identifier: GPL-2.0-or-later
"""What the guest's kernel sees of deferred work when an isolated vCPU enters it.

The kernel maps another page while an isolated vCPU is in userspace, and reads it in the
first C code of that vCPU's next entry; or it seals or frees text, which is written to or
executed there; or it changes text, and looks whether that has been accounted for
(ipi_defer_test.c of the kernel series). QEMU caches translations as a CPU does, so a
flush that is missing or late shows: with ipi_defer_fault=drop_tlb_flush it must.
"""
import os
import re

from tests.support import requirements
from tests.support.linux_guest import ISOLATED

# How often each of the nine ways into the kernel is taken: some 11000 in all.
ROUNDS = int(os.environ.get("IPIDEFER_ORACLE_ROUNDS", "1250"))
ENTRIES = ("syscall", "int80", "compat", "fault", "breakpoint", "iret",
           "interrupt", "nmi", "nmi+syscall")
TEST = "/sys/kernel/debug/x86/ipi_defer/test"
CPU = ISOLATED[0]
SYNC_CORE = 0xf5
KERNEL_TLBI = 0xea


def boot_oracle(boot, append, **kwargs):
    """@return a guest with the programs that enter the kernel"""
    files = {f"bin/{name}": requirements.path("IPIDEFER_ORACLE", name)
             for name in ("entry_oracle", "compat_entry")}
    return boot(f"ipi_defer_test {append}", files, **kwargs)


def spin(guest):
    """Have something in userspace there, and for nothing else."""
    guest.run(f"taskset -c {CPU} sh -c 'while :; do :; done' &")


def ask(guest, entry, rounds, change=""):
    """The kernel's counts for rounds of entries, each after a change of mappings."""
    text = "\n".join(guest.lines_of(f"entry_oracle {entry} {rounds} {CPU} {change}"))
    found = re.search(r"== oracle (.*)", text)
    assert found is not None, text
    counts = dict(w.split("=") for w in found.group(1).split())
    assert counts.pop("entry") == entry
    return {name: int(count) for name, count in counts.items()}


def expect_fresh(boot, append, pending, entries=ENTRIES, change="", rounds=ROUNDS,
                 **kwargs):
    """Each way in sees the change; with pending, as it was left to the entry."""
    guest = boot_oracle(boot, f"{append} loops=", **kwargs)
    for entry in entries:
        seen = ask(guest, entry, rounds, change)
        # Both of nmi+syscall may find the check armed.
        assert seen["checked"] >= rounds
        assert seen["stale"] == 0
        # Whatever is recorded once it is in the kernel would be late.
        assert seen["unclean"] == 0
        # The vCPU may not be back in userspace each time; and an
        # NMI on the way there may have it not accept until it is in
        # the kernel once more.
        if pending:
            least = 0.1 if entry == "nmi+syscall" else 0.9
            assert seen["pending"] > rounds * least
        else:
            assert seen["pending"] == 0


def expect_stale(boot, change=""):
    """What that counts depends on the flush: without it, each way in sees what was."""
    guest = boot_oracle(boot, "ipi_defer=hv ipi_defer_fault=drop_tlb_flush loops=")
    stale = {entry: ask(guest, entry, 200, change)["stale"] for entry in ENTRIES}
    # A signal's way back flushes QEMU's translations.
    del stale["breakpoint"], stale["iret"]
    for entry, count in stale.items():
        assert count > 0, f"{entry}: a lost flush is not seen"
