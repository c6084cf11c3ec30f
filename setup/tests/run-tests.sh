#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# run-tests.py with a build of six tests: what is run again, what is not, and what
# is left out.
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
add_test(slow sh -c "echo slow >>$dir/ran")
set_tests_properties(guest fails PROPERTIES LABELS "nested")
set_tests_properties(model PROPERTIES LABELS "model")
set_tests_properties(skipped PROPERTIES LABELS "kvm" SKIP_RETURN_CODE 77)
set_tests_properties(slow PROPERTIES LABELS "nested;long")
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
run='fails fast guest model skipped'
fresh='6 tests: 3 passed, 1 failed, 1 were skipped, 0 not run again, 1 left out'
run_expecting 'nothing is known' "$run" "$fresh"
run_expecting 'nothing has changed' 'fails fast skipped' \
    '6 tests: 1 passed, 1 failed, 1 were skipped, 2 not run again, 1 left out'
run_expecting '--again' "$run" "$fresh" --again
run_expecting '--all' 'fails fast skipped slow' \
    '6 tests: 2 passed, 1 failed, 1 were skipped, 2 not run again, 0 left out' --all
run_expecting 'what is long has passed' 'fails fast skipped' \
    '6 tests: 1 passed, 1 failed, 1 were skipped, 3 not run again, 0 left out'
run_expecting '--all --again' "$run slow" \
    '6 tests: 4 passed, 1 failed, 1 were skipped, 0 not run again, 0 left out' \
    --all --again
echo prose >"$dir/source/docs/page.md"
run_expecting 'prose is no input' 'fails fast skipped' \
    '6 tests: 1 passed, 1 failed, 1 were skipped, 3 not run again, 0 left out'
echo code >"$dir/source/code.c"
run_expecting 'a source has changed, not the model' 'fails fast guest skipped' \
    '6 tests: 2 passed, 1 failed, 1 were skipped, 1 not run again, 1 left out'
IPIDEFER_QEMU=/another run_expecting 'another QEMU' 'fails fast guest skipped' \
    '6 tests: 2 passed, 1 failed, 1 were skipped, 1 not run again, 1 left out'
echo model >"$dir/source/tests/model/m.pml"
run_expecting 'the model has changed' "$run" "$fresh"
chmod +x "$dir/source/code.c"
run_expecting 'a mode has changed' 'fails fast guest skipped' \
    '6 tests: 2 passed, 1 failed, 1 were skipped, 1 not run again, 1 left out'
