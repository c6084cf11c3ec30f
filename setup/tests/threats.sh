#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Every test that docs/THREATS.md names is there, and every line of its tables
# names one.
# usage: threats.sh [ROOT]
set -euo pipefail
root=${1:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
cd "$root"
status=0
complain() { echo "docs/THREATS.md: $*" >&2; status=1; }

sources() { git ls-files "$@" 2>/dev/null || find . -name "${1#\*}" -not -path './build/*'; }
known=$(mktemp)
trap 'rm -f "$known"' EXIT
{
    # GoogleTest: TEST(Suite, Name), TEST_F, TEST_P; the name may be on a line of its own.
    sources '*_test.cpp' | xargs cat | tr '\n' ' ' |
        grep -oE 'TEST(_F|_P)?\( *[A-Za-z0-9]+, *[A-Za-z0-9]+ *\)' |
        sed -E 's/.*\( *([A-Za-z0-9]+), *([A-Za-z0-9]+).*/\1.\2/'
    # Python: class and method.
    sources '*.py' | xargs awk '/^class /{split($2, c, "[(:]"); class = c[1]}
        /^    def test_/{split($2, m, "("); print class "." m[1]}'
    # Programs of ctest.
    sources '*CMakeLists.txt' '*.cmake' | xargs grep -ohE 'ipidefer_fuzz\([a-z-]+|NAME [a-z.-]+' |
        sed -E 's/.*[( ]//'
} >"$known"
[[ $(wc -l <"$known") -gt 500 ]] || complain "hardly any test was found"
while IFS= read -r name; do
    grep -qxF -- "$name" "$known" || complain "there is no test '$name'"
done < <(grep -oE '`[A-Za-z][A-Za-z0-9]+\.[A-Za-z_0-9]+`|`ipidefer-[a-z-]+`' docs/THREATS.md | tr -d '`' | sort -u |
    grep -vE '\.(md|h|hpp|cpp|py|sh)$|^ipidefer-vmm$')
while IFS= read -r line; do
    grep -qE '`[A-Za-z][A-Za-z0-9]+\.[A-Za-z_0-9]+`|-fuzz`' <<<"$line" || complain "no test in: $line"
done < <(grep '^|' docs/THREATS.md | grep -vE '^\|(---| May not )')
exit "$status"
