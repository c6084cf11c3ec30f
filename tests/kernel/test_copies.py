# SPDX-License-Identifier: GPL-2.0-or-later
"""What kernels have of this repository's files is the same, byte for byte."""
import pytest

from tests.support.requirements import ROOT

pytestmark = pytest.mark.unit
GUEST = ROOT / "guest-patches/linux-6.12/patches"
HOST = ROOT / "vmm/linux-kvm/patches"
# (file here, series that adds it, its name there)
COPIES = [("vmm/abi/ipi_defer.h", GUEST, "arch/x86/include/asm/ipi_defer_abi.h"),
          ("vmm/abi/ipi_defer.h", HOST, "arch/x86/kvm/ipi_defer_abi.h"),
          ("vmm/core/include/ipidefer/segment.h", HOST,
           "arch/x86/kvm/ipi_defer_segment.h"),
          ("vmm/linux-kvm/src/ipi_defer_decide.h", HOST,
           "arch/x86/kvm/ipi_defer_decide.h")]


def copy_in(patches, name):
    """The hunk that creates the file, without its plus signs."""
    lines, inside = [], False
    for patch in sorted(patches.glob("*.patch")):
        for line in patch.read_text().splitlines():
            if line == f"+++ b/{name}":
                inside = True
            elif line.startswith("diff --git ") or line == "-- ":
                inside = False
            elif inside and line.startswith("+"):
                lines.append(f"{line[1:]}\n")
    return "".join(lines)


@pytest.mark.parametrize("ours, patches, theirs", COPIES)
def test_copy_is_the_file(ours, patches, theirs):
    copy = copy_in(patches, theirs)
    assert copy.count("\n") > 50, f"no patch adds {theirs}"
    assert copy == (ROOT / ours).read_text()


@pytest.mark.parametrize("ours, patches, theirs", COPIES)
def test_a_difference_is_seen(ours, patches, theirs):
    """The control."""
    other = (ROOT / ours).read_text().replace("accept_mask", "accept_mark")
    assert copy_in(patches, theirs) != other
