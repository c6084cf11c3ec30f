#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# How many instructions does a system call take, there and back, on CPUs with
# and without nohz_full: without the series, and with it in each mode? Counted
# by QEMU (-icount), not timed, so the figures are the same on every run.
#
# Builds a kernel without the series if there is none yet (minutes).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repo=$(cd "$here/../.." && pwd)
# shellcheck source=../guest-lib.sh
. "$repo/tests/guest-lib.sh"
if [[ ${1-} == --help || ${1-} == -h ]]; then
    echo "Usage: run.sh    (IPIDEFER_QEMU, IPIDEFER_KERNEL: as for ipidefer lab)"
    exit 0
fi
qemu=${IPIDEFER_QEMU:-$("$repo/vmm/qemu/build.sh")}
patched=${IPIDEFER_KERNEL:-$("$repo/guest-patches/linux-6.12/build.sh")}
stock=$("$repo/guest-patches/linux-6.12/build.sh" --upto 0)

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/root"
gcc -O2 -Wall -Wextra -static -o "$dir/root/init" "$here/entry_cost.c"
pack_initrd "$dir/root" "$dir/initrd"

# measure NAME KERNEL MODE [OPTION]...: a line of the table
measure() {
    local name=$1 kernel=$2 mode=$3 costs
    shift 3
    run_guest "$qemu" "$dir/console" "$kernel/bzImage" "$dir/initrd" "nokaslr \
tsc=reliable nohz_full=2-3 isolcpus=managed_irq,domain,2-3 rcu_nocbs=2-3 \
irqaffinity=0-1 ipi_defer=$mode" "${DETERMINISTIC[@]}" -smp 4 -cpu max -m 256 "$@" ||
        { tail "$dir/console"; exit 1; }
    costs=$(tr -d '\r' <"$dir/console" | sed -n 's/^cost \([0-9]*\) \([0-9.]*\)$/\1 \2/p')
    if [[ $(wc -l <<<"$costs") != 4 ]]; then
        tail -n 20 "$dir/console"
        echo "$name: no figures" >&2
        exit 1
    fi
    printf '%-28s %12s %12s\n' "$name" "$(awk '$1 == 1 { print $2 }' <<<"$costs")" \
        "$(awk '$1 == 3 { print $2 }' <<<"$costs")"
}

printf '%-28s %12s %12s\n' 'instructions per getuid()' 'housekeeping' 'isolated'
measure 'without the series' "$stock" off
measure 'ipi_defer=off' "$patched" off
measure 'ipi_defer=guest' "$patched" guest
measure 'ipi_defer=hv' "$patched" hv -object ipi-defer,id=defer0,isolated-cpus=2-3
