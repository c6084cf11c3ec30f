#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Each source file names its licence, each licence that is named has its text, and
# each text is of a licence that is named.
# usage: licences.sh [ROOT]
set -euo pipefail
root=${1:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
cd "$root"
status=0
complain() { echo "$*" >&2; status=1; }

# Files that git knows; without git, as in a release's archive, those that are here.
files() {
    git ls-files 2>/dev/null ||
        find . -type f -not -path './build/*' -not -path './.git/*' | sed 's,^\./,,'
}
named=$(mktemp)
trap 'rm -f "$named"' EXIT
while IFS= read -r file; do
    [[ -f $file && $file != LICENSES/* ]] || continue
    case $file in
    *.cpp | *.hpp | *.c | *.h | *.S | *.py | *.sh | *.pml | *.cmake | *CMakeLists.txt | *.service | *.bash)
        line=$(head -n 5 "$file" | grep -m1 'SPDX-License-Identifier:') ||
            { complain "$file: names no licence"; continue; }
        ;;
    *.patch) line=$(grep '^+.*SPDX-License-Identifier:' "$file" | sed 's/"[^"]*"//g') || continue ;;
    *) continue ;;
    esac
    # The identifiers of each expression; the kernel's "GPL-2.0" is GPL-2.0-only.
    sed -e 's/.*SPDX-License-Identifier: *//' -e 's,\*/.*,,' <<<"$line" | tr -d '()' |
        tr -s ' ' '\n' | grep -vxE 'WITH|OR|AND|' | sed 's/^GPL-2\.0$/GPL-2.0-only/' >>"$named"
done < <(files)
[[ -s $named ]] || complain "no file names a licence"
while IFS= read -r id; do
    [[ -s LICENSES/$id.txt ]] || complain "LICENSES/$id.txt is missing"
    grep -q -- "$id" LICENSE || complain "LICENSE does not mention $id"
done < <(sort -u "$named")
for text in LICENSES/*; do
    id=${text#LICENSES/}
    grep -qx -- "${id%.txt}" "$named" || complain "$text: no file names it"
done
exit "$status"
