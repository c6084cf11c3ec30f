#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# How many instructions does a system call take, there and back, on CPUs with
# and without nohz_full: without the series, and with it in each mode? And how
# many does it take to have idle CPUs synchronise, with and without deferral for
# them? Counted by QEMU (-icount), not timed, so the figures are the same on
# every run.
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

# guest SOURCE: the program that runs in the guest
guest() {
    gcc -O2 -Wall -Wextra -static -o "$dir/root/init" "$here/$1"
    pack_initrd "$dir/root" "$dir/initrd"
}

# count NAME LINES KERNEL MODE [OPTION]...: what the guest counted, in $costs
count() {
    local name=$1 lines=$2 kernel=$3 mode=$4
    shift 4
    run_guest "$qemu" "$dir/console" "$kernel/bzImage" "$dir/initrd" "nokaslr \
tsc=reliable nohz_full=2-3 isolcpus=managed_irq,domain,2-3 rcu_nocbs=2-3 \
irqaffinity=0-1 ipi_defer=$mode" "${DETERMINISTIC[@]}" -smp 4 -cpu max -m 256 "$@" ||
        { tail "$dir/console"; exit 1; }
    costs=$(tr -d '\r' <"$dir/console" | sed -n 's/^cost \([0-9. ]*\)$/\1/p')
    if [[ -z $costs ]] || (($(wc -l <<<"$costs") != lines)); then
        tail -n 20 "$dir/console"
        echo "$name: no figures" >&2
        exit 1
    fi
}

# entry NAME KERNEL MODE [OPTION]...: a line of the first table
entry() {
    local name=$1
    shift
    count "$name" 4 "$@"
    printf '%-28s %12s %12s\n' "$name" "$(awk '$1 == 1 { print $2 }' <<<"$costs")" \
        "$(awk '$1 == 3 { print $2 }' <<<"$costs")"
}

# sender NAME MODE [OPTION]...: a line of the second table
sender() {
    local name=$1 mode=$2
    shift 2
    count "$name" 1 "$patched" "$mode" "$@"
    printf '%-28s %12s\n' "$name" "$costs"
}

readonly OBJECT=ipi-defer,id=defer0,isolated-cpus=1-3
printf '%-28s %12s %12s\n' 'instructions per getuid()' 'housekeeping' 'isolated'
guest entry_cost.c
entry 'without the series' "$stock" off
entry 'ipi_defer=off' "$patched" off
entry 'ipi_defer=guest' "$patched" guest
entry 'ipi_defer=hv' "$patched" hv -object "$OBJECT"
entry 'ipi_defer=hv, not offered' "$patched" hv

printf '\n%-28s %12s\n' 'per request to 3 idle CPUs' 'instructions'
guest sender_cost.c
sender 'guest' 'guest ipi_defer_test'
sender 'guest, ipi_defer_idle' 'guest ipi_defer_test ipi_defer_idle'
sender 'hv' 'hv ipi_defer_test' -object "$OBJECT"
sender 'hv, ipi_defer_idle, idle=on' 'hv ipi_defer_test ipi_defer_idle' \
    -object "$OBJECT,idle=on"
