#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The files that are installed beside the programs: configuration, dashboard,
# completion.
# usage: share_test.sh SHARE IPIDEFERD IPIDEFER
set -eu
share=$1 daemon=$2 ipidefer=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "$*" >&2; exit 1; }

"$daemon" --check --config "$share/ipideferd.json" || fail "ipideferd.json is refused"
! "$daemon" --check --config "$share/grafana-dashboard.json" 2>/dev/null ||
    fail "--check takes anything"

# Every metric of the dashboard is one that the daemon has.
python3 - "$share/grafana-dashboard.json" "$share/../daemon/metrics.cpp" <<'END'
import json, re, sys
dashboard = json.load(open(sys.argv[1]))
known = set(re.findall(r'"(ipidefer_[a-z_]+)"', open(sys.argv[2]).read()))
expressions = [t["expr"] for p in dashboard["panels"] for t in p["targets"]]
expressions += [v["query"] for v in dashboard["templating"]["list"]]
used = set(re.findall(r'ipidefer_[a-z_]+', " ".join(expressions)))
assert known and used, (known, used)
assert used <= known, f"not metrics: {used - known}"
END

# The libvirt hook: refuses what fails, minds nothing else, and says why.
hook() { IPIDEFER_PROGRAM=${program-$ipidefer} "$share/libvirt-hook-qemu" web1 "$@" 2>"$work/said"; }
domain() { echo "<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
<name>web1</name><vcpu>2</vcpu>$1<qemu:commandline><qemu:arg value='-object'/>
<qemu:arg value='$2'/></qemu:commandline></domain>"; }
pinned="<cputune><vcpupin vcpu='1' cpuset='0'/></cputune>"
domain "$pinned" ipi-defer,isolated-cpus=1 | hook prepare begin - || fail "hook refuses: $(cat "$work/said")"
! domain '' ipi-defer,isolated-cpus=1 | hook prepare begin - || fail "hook: starts without pins"
grep -q 'web1: not fit' "$work/said" && grep -q '^fail  domain.vcpupin' "$work/said" ||
    fail "hook says: $(cat "$work/said")"
domain '' ipi-defer,isolated-cpus=1 | hook release end - || fail "hook: minds the end"
domain '' can-bus,id=x | hook prepare begin - || fail "hook: minds other domains"
! domain '' ipi-defer | program=/nonexistent hook prepare begin - || fail "hook: starts unchecked"

# shellcheck source=../share/ipidefer.bash
. "$share/ipidefer.bash"
complete_words() {
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
    _ipidefer
    echo "${COMPREPLY[*]}"
}
touch "$work/ipidefer.web1~00000001" "$work/ipidefer.a%20b%FF~00000001" "$work/ipidefer.other"
export IPIDEFER_SHM_DIR=$work
[[ $(complete_words ipidefer po) == policy ]] || fail "completion: po"
[[ $(complete_words "$ipidefer" policy w) == web1 ]] || fail "completion: VM"
[[ $(complete_words "$ipidefer" policy a) == 'a\ b%FF' ]] || fail "completion: VM with a blank"
[[ $(complete_words "$ipidefer" policy 'a\ ') == 'a\ b%FF' ]] || fail "completion: half a VM"
[[ $(complete_words "$ipidefer" stat '') == 'a\ b%FF web1' ]] || fail "completion: all VMs"
mkdir "$work/empty"
[[ -z $(complete_words "$ipidefer" --shm-dir "$work/empty" stat '') ]] || fail "completion: --shm-dir"
[[ $(complete_words ipidefer bench k) == kvm ]] || fail "completion: bench"
[[ $(complete_words ipidefer bench kvm --r) == --rounds ]] || fail "completion: bench kvm"
[[ $(complete_words ipidefer policy web1 --id) == --idle ]] || fail "completion: --id"
[[ $(complete_words ipidefer policy web1 --idle o) == 'on off' ]] || fail "completion: on"
[[ $(complete_words ipidefer trace web1 -e ipi_s) == ipi_send ]] || fail "completion: event"
# Every command that there is.
commands=$("$ipidefer" --help | sed -n '/^Subcommands/,$s/^  \([a-z]*\) .*/\1/p' | sort)
[[ $commands ]] || fail "no commands in --help"
[[ $(complete_words ipidefer '' | tr ' ' '\n' | sort) == "$commands" ]] ||
    fail "completion of commands: $(complete_words ipidefer ''), --help has: $commands"
