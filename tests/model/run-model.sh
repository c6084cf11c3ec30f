#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Check ipi_defer.pml, or one of its mutants, and compare with what should come
# out. Exit 0 as expected, 1 not, 77 when spin is missing.
set -euo pipefail

usage() {
    cat <<EOF
Usage: run-model.sh [--mutant NAME] --expect RESULT [-DNAME=VALUE]...
  RESULT: holds     no assertion fails, nothing is stuck
          answered  every request is answered, under weak fairness
          harmed    I5 fails: code runs that lacks a sync
          once      I1 fails: recorded and delivered, or neither
          done      I9 fails: done goes back
          stuck     the sender waits for ever
EOF
}

expect='' defines=()
while (($#)); do
    case $1 in
    --mutant) defines+=("-DMUT_${2:?--mutant needs a name}"); shift ;;
    --expect) expect=${2:?--expect needs a result}; shift ;;
    -D*) defines+=("$1") ;;
    --help | -h) usage; exit 0 ;;
    *) usage >&2; exit 1 ;;
    esac
    shift
done
[[ $expect ]] || { usage >&2; exit 1; }
model=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/ipi_defer.pml
for tool in spin gcc; do
    command -v $tool >/dev/null || { echo "skipped: no $tool (Debian package $tool)"; exit 77; }
done
for define in ${defines[@]+"${defines[@]}"}; do
    [[ $define != -DMUT_* ]] || grep -q "def ${define#-D}\b" "$model" ||
        { echo "the model has no ${define#-D}" >&2; exit 1; }
done

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
spin ${defines[@]+"${defines[@]}"} -a "$model" >spin.out || { cat spin.out; exit 1; }
case $expect in
answered) gcc -O2 -DNFAIR=3 -DMEMLIM=6000 -o pan pan.c; run=(-a -f) ;;
# What is stuck would hide the harm that a longer run does.
harmed) gcc -O2 -DSAFETY -DNOCLAIM -DMEMLIM=6000 -o pan pan.c; run=(-E) ;;
holds | once | done | stuck) gcc -O2 -DSAFETY -DNOCLAIM -DMEMLIM=6000 -o pan pan.c; run=() ;;
*) usage >&2; exit 1 ;;
esac
./pan -m1000000 -w24 "${run[@]}" >pan.out 2>&1 || { cat pan.out; exit 1; }

if grep -qE 'max search depth too small|out of memory|Search not completed' pan.out &&
    ! grep -q '^pan:1:' pan.out; then
    cat pan.out
    echo "the search was not exhaustive"
    exit 1
fi
found=$(grep -m1 '^pan:1:' pan.out || true)
grep -E 'states, stored|^State-vector' pan.out
case $found in
'') got=holds ;;
*'synced<acked'*) got=harmed ;;
*'is_recorded+is_delivered'*) got=once ;;
*'r>=done'*) got=done ;;
*'invalid end state'*) got=stuck ;;
*'acceptance cycle'*) got=unanswered ;;
*) got="?" ;;
esac
[[ $expect == answered && $got == holds ]] && got=answered
echo "${defines[*]-}: expected $expect, got $got ${found:+($found)}"
[[ $got == "$expect" ]]
