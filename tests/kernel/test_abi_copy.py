# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's copy of the contract is vmm/abi/ipi_defer.h, byte for byte."""
import pytest

from tests.support.requirements import ROOT

pytestmark = pytest.mark.unit
HEADER = ROOT / "vmm/abi/ipi_defer.h"
PATCHES = ROOT / "guest-patches/linux-6.12/patches"
COPY = "arch/x86/include/asm/ipi_defer_abi.h"


def copy_in_the_patches():
    """The hunk that creates the file, without its plus signs."""
    lines, inside = [], False
    for patch in sorted(PATCHES.glob("*.patch")):
        for line in patch.read_text().splitlines():
            if line == f"+++ b/{COPY}":
                inside = True
            elif line.startswith("diff --git ") or line == "-- ":
                inside = False
            elif inside and line.startswith("+"):
                lines.append(f"{line[1:]}\n")
    return "".join(lines)


def test_copy_is_the_header():
    copy = copy_in_the_patches()
    assert copy.count("\n") > 50, f"no patch adds {COPY}"
    assert copy == HEADER.read_text()


def test_a_difference_is_seen():
    """The control."""
    other = HEADER.read_text().replace("accept_mask", "accept_mark")
    assert copy_in_the_patches() != other
