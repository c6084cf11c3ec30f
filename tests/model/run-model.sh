#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Check a model, or one of its mutants, and compare with what should come out.
# Exit 0 as expected, 1 not, 77 when spin is missing.
set -euo pipefail

usage() {
    cat <<EOF
Usage: run-model.sh [--model NAME] [--mutant NAME | --reach NAME] --expect RESULT
                    [-DNAME=VALUE]...
  --model ipi_defer (default), entry_word or lockless_walk
  RESULT: holds     no assertion fails, nothing is stuck
          answered  every request is answered, under weak fairness
          harmed    I5 fails: code runs that lacks a sync or a flush, or is in a walk
                    of what is freed
          once      I1 fails: recorded and delivered, or neither
          done      I9 fails: done goes back
          stuck     a sender waits for ever
          reached   the state that --reach names is reached
EOF
}

expect='' name=ipi_defer defines=() reach=''
while (($#)); do
    case $1 in
    --model) name=${2:?--model needs a name}; shift ;;
    --reach) reach=${2:?--reach needs a name}; defines+=("-DREACH=$reach"); shift ;;
    --mutant) defines+=("-DMUT_${2:?--mutant needs a name}"); shift ;;
    --expect) expect=${2:?--expect needs a result}; shift ;;
    -D*) defines+=("$1") ;;
    --help | -h) usage; exit 0 ;;
    *) usage >&2; exit 1 ;;
    esac
    shift
done
[[ $expect ]] || { usage >&2; exit 1; }
model=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/$name.pml
[[ -f $model ]] || { echo "no model $name" >&2; exit 1; }
for tool in spin gcc; do
    command -v $tool >/dev/null || { echo "skipped: no $tool (Debian package $tool)"; exit 77; }
done
for define in ${defines[@]+"${defines[@]}"}; do
    [[ $define != -DMUT_* ]] || grep -q "def ${define#-D}\b" "$model" ||
        { echo "the model has no ${define#-D}" >&2; exit 1; }
done
[[ ! $reach ]] || grep -q "COVER($reach)" "$model" ||
    { echo "the model has no $reach" >&2; exit 1; }

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
spin ${defines[@]+"${defines[@]}"} -a "$model" >spin.out || { cat spin.out; exit 1; }
# What is to be found is found soon: the compiler would take longer.
optimize=-O0 search=(-DSAFETY -DNOCLAIM) run=()
case $expect in
answered) optimize=-O2 search=(-DNFAIR=3) run=(-a -f) ;;
# What is stuck would hide the harm that a longer run does, and the other way round.
harmed | reached) run=(-E) ;;
stuck) run=(-A) ;;
holds) optimize=-O2 ;;
once | done) ;;
*) usage >&2; exit 1 ;;
esac
# Warnings are about pan's own code.
gcc -w $optimize "${search[@]}" -DMEMLIM=6000 -o pan pan.c
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
*'synced<acked'* | *'tlb<acked'* | *'walking&&freed'*) got=harmed ;;
*'is_recorded+is_delivered'*) got=once ;;
*'r>=done'* | *'s[0]>='*) got='done' ;;
*'invalid end state'*) got=stuck ;;
*'acceptance cycle'*) got=unanswered ;;
*'('[1-9]*'!='[1-9]*')'*) got=reached ;;
*) got="?" ;;
esac
[[ $expect == answered && $got == holds ]] && got=answered
echo "${defines[*]-}: expected $expect, got $got ${found:+($found)}"
[[ $got == "$expect" ]]
