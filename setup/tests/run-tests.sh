#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# run-tests.py with a build of five tests: what is run again, and what is not.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir -p "$dir/source/tests/model" "$dir/source/docs" "$dir/build"
# Each leaves a line when it runs.
cat >"$dir/build/CTestTestfile.cmake" <<EOF
add_test(fast sh -c "echo fast >>$dir/ran")
add_test(guest sh -c "echo guest >>$dir/ran")
add_test(model sh -c "echo model >>$dir/ran")
add_test(fails sh -c "echo fails >>$dir/ran; exit 1")
add_test(skipped sh -c "echo skipped >>$dir/ran; exit 77")
set_tests_properties(guest fails PROPERTIES LABELS "nested")
set_tests_properties(model PROPERTIES LABELS "model")
set_tests_properties(skipped PROPERTIES LABELS "kvm" SKIP_RETURN_CODE 77)
EOF

# run_expecting WHY NAMES LAST-LINE [ARGUMENT...]
run_expecting() {
    local why=$1 names=$2 last=$3 out status=0 ran
    shift 3
    : >"$dir/ran"
    out=$("$here/../run-tests.py" --source "$dir/source" --build "$dir/build" \
        --cache "$dir/cache" "$@" 2>&1) || status=$?
    ran=$(sort "$dir/ran" | tr '\n' ' ')
    if [[ $ran != "$names " ]] || ! grep -qx "$last" <<<"$out" || ((status != 8)); then
        printf '%s\n%s: status %s, ran: %s\n' "$out" "$why" "$status" "$ran"
        exit 1
    fi
}
all='fails fast guest model skipped'
fresh='5 tests: 3 passed, 1 failed, 1 were skipped, 0 not run again'
run_expecting 'nothing is known' "$all" "$fresh"
run_expecting 'nothing has changed' 'fails fast skipped' \
    '5 tests: 1 passed, 1 failed, 1 were skipped, 2 not run again'
run_expecting '--again' "$all" "$fresh" --again
echo prose >"$dir/source/docs/page.md"
run_expecting 'prose is no input' 'fails fast skipped' \
    '5 tests: 1 passed, 1 failed, 1 were skipped, 2 not run again'
echo code >"$dir/source/code.c"
run_expecting 'a source has changed, not the model' 'fails fast guest skipped' \
    '5 tests: 2 passed, 1 failed, 1 were skipped, 1 not run again'
IPIDEFER_QEMU=/another run_expecting 'another QEMU' 'fails fast guest skipped' \
    '5 tests: 2 passed, 1 failed, 1 were skipped, 1 not run again'
echo model >"$dir/source/tests/model/m.pml"
run_expecting 'the model has changed' "$all" "$fresh"
chmod +x "$dir/source/code.c"
run_expecting 'a mode has changed' 'fails fast guest skipped' \
    '5 tests: 2 passed, 1 failed, 1 were skipped, 1 not run again'
