#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Whether a VM lives is asked of the lock on its segment, not of its process ID:
# the answer is the same in every PID namespace, where other processes, or none,
# have that ID.
# usage: pid_namespace_test.sh IPIDEFER IPIDEFER_TEST_VMM
set -eu
ipidefer=$1 vmm=$2
fail() { echo "$*" >&2; exit 1; }

apart=(unshare --pid --fork --kill-child --mount-proc)
((EUID == 0)) || apart=(unshare --user --map-root-user "${apart[@]:1}")
if ! why=$("${apart[@]}" true 2>&1); then
    echo "skipped: no PID namespace can be made here: $why"
    exit 77
fi

work=$(mktemp -d)
started=()
finish() {
    # unshare takes what it has started with it.
    for pid in "${started[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
    wait
    rm -rf "$work"
}
trap finish EXIT
mkdir -m 700 "$work/shm"

# here COMMAND..., apart COMMAND...: in this namespace, and in one of its own.
here() { "$@"; }
apart() { "${apart[@]}" "$@"; }

# start_vm WHERE: leaves the process to kill in $pid.
start_vm() {
    : >"$work/said"
    if [[ $1 == here ]]; then
        "$vmm" web --shm-dir "$work/shm" --seconds 600 >"$work/said" 2>&1 &
    else
        "${apart[@]}" "$vmm" web --shm-dir "$work/shm" --seconds 600 \
            >"$work/said" 2>&1 &
    fi
    pid=$!
    started+=("$pid")
    for ((i = 0; i < 600; ++i)); do
        ! grep -q ready "$work/said" || return 0
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    fail "a VM $1 does not start: $(cat "$work/said")"
}

state() { "$@" "$ipidefer" --shm-dir "$work/shm" list --json | python3 -c '
import json, sys
print(*(vm["state"] for vm in json.load(sys.stdin)["vms"] if vm["name"] == "web"))'; }

# expect WHEN STATE: what list says in either namespace, and whether stat works.
expect() {
    local where said
    for where in here apart; do
        said=$(state "$where")
        [[ $said == "$2" ]] || fail "$1: list $where says '$said', not '$2'"
        if [[ $2 == running ]]; then
            "$where" "$ipidefer" --shm-dir "$work/shm" stat web >/dev/null ||
                fail "$1: stat $where fails"
        fi
    done
}

# A VM that is first in its namespace has the PID 1, which lives everywhere.
previous=nowhere
for where in here apart apart here; do
    start_vm "$where"
    expect "a VM $where, after one $previous that was killed" running
    kill -KILL "$pid"
    wait "$pid" 2>/dev/null || true
    # Of one in a namespace, this was the parent that waits for it.
    for ((i = 0; i < 100; ++i)); do
        [[ $(state here) == running ]] || break
        sleep 0.1
    done
    expect "a VM $where that was killed" stale
    previous=$where
done
echo "the same in every PID namespace"
