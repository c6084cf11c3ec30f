#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The kernel's copy of the contract is vmm/abi/ipi_defer.h, byte for byte.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
header=$here/../../../vmm/abi/ipi_defer.h
copy=arch/x86/include/asm/ipi_defer_abi.h

# The hunk that creates the file, without its plus signs.
extract() {
    cat "$here"/../patches/*.patch | awk -v file="+++ b/$copy" '
        $0 == file { inside = 1; next }
        /^diff --git / || /^-- $/ { inside = 0 }
        inside && /^\+/ { print substr($0, 2) }'
}
lines=$(extract | wc -l)
((lines > 50)) || { echo "no patch adds $copy"; exit 1; }
diff -u "$header" <(extract) || {
    echo "$copy in the patches differs from vmm/abi/ipi_defer.h"
    exit 1
}
# A check that cannot fail would be none.
if diff -q <(sed 's/accept_mask/accept_mark/' "$header") <(extract) >/dev/null; then
    echo "the comparison does not see a difference"
    exit 1
fi
echo "$lines lines, identical"
