#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What must not wait: each of these has to be heard of by all isolated CPUs before its
# caller goes on, so each of them has taken a function call by then. And, where deferral
# is on, a change that may wait brings none: what is counted is not something else.
tracing=/sys/kernel/tracing
# Of kernels with CONFIG_IPI_DEFER_TEST and ipi_defer_test on the command line.
attributes=/sys/kernel/debug/x86/ipi_defer/test
ran=0

isolated=$(tr , '\n' </sys/devices/system/cpu/isolated | while IFS=- read -r first last; do
    seq "$first" "${last:-$first}"
done | tr '\n' ' ')
[ "$isolated" ] || { echo "no CPU is isolated"; exit 77; }

# Function calls that each isolated CPU has taken.
calls() {
    awk -v isolated="$isolated" '
        NR == 1 { for (i = 1; i <= NF; i++) column[substr($i, 4)] = i + 1 }
        $1 == "CAL:" {
            n = split(isolated, cpus)
            for (i = 1; i <= n; i++) print cpus[i], $column[cpus[i]]
        }' /proc/interrupts
}

# uncalled COMMAND: do it, and print the isolated CPUs that it has sent no call to.
# Status 77 if the kernel has nothing of the kind.
uncalled() {
    before=$(calls)
    "$@" >/dev/null || return
    printf '%s\n%s\n' "$before" "$(calls)" |
        awk '$1 in seen { if ($2 == seen[$1]) print $1; next } { seen[$1] = $2 }' | tr '\n' ' '
}

must_interrupt() {
    echo "$1"
    left=$(uncalled "$2")
    case $? in
    0) ;;
    77) echo "$1: not in this kernel"; return ;;
    *) echo "$1: failed"; exit 1 ;;
    esac
    [ -z "$left" ] || { echo "$1: CPUs ${left}were not interrupted"; exit 1; }
    ran=$((ran + 1))
}

may_wait() {
    # The branches of scheduler statistics, in ordinary text.
    for value in 1 0; do echo $value >/proc/sys/kernel/sched_schedstats || return; done
}

noinstr_text() {
    # Branches at kernel entry and exit, before and after which nothing is done.
    event=$tracing/events/context_tracking/user_enter/enable
    [ -w $event ] || return 77
    echo 1 >$event && echo 0 >$event
}

secret_memory() { lab-secret-page; }

memory_types() {
    [ -w $attributes ] || return 77
    echo uc >$attributes
}

# The memory map of huge pages that are set aside is given back, all but a page of each.
vmemmap=/proc/sys/vm/hugetlb_optimize_vmemmap
huge_pages() {
    [ -w $vmemmap ] || return 77
    echo 1 >$vmemmap && echo 4 >/proc/sys/vm/nr_hugepages &&
        [ "$(cat /proc/sys/vm/nr_hugepages)" -gt 0 ]
}

# And is allocated anew when they are freed.
huge_page_frees() {
    [ -w $vmemmap ] || return 77
    echo 0 >/proc/sys/vm/nr_hugepages && [ "$(cat /proc/sys/vm/nr_hugepages)" -eq 0 ]
}

# A table of files in huge pages, where there were small ones of BPF maps: their page
# tables are freed.
page_tables() { lab-many-files; }
small_pages_before() {
    lab-bpf-maps array 16777216 4 1 2>/dev/null || return 77
    sleep 0.5 # maps are freed in the background
    # Compiled text is made executable, for which freed addresses are purged.
    lab-bpf-attach 1
}

if grep -qE 'ipi_defer=(guest|hv)' /proc/cmdline &&
    ! dmesg | grep -q 'running as ipi_defer=off'; then
    left=$(uncalled may_wait) || exit 1
    [ "$left" = "$isolated" ] ||
        { echo "a change that may wait left alone CPUs $left, not $isolated"; exit 1; }
fi
must_interrupt "noinstr text" noinstr_text
must_interrupt "secret memory" secret_memory
must_interrupt "memory types" memory_types
must_interrupt "huge pages set aside" huge_pages
must_interrupt "huge pages freed" huge_page_frees
if small_pages_before; then
    must_interrupt "page tables of the kernel" page_tables
else
    echo "page tables of the kernel: not in this kernel"
fi
[ $ran -gt 0 ] || exit 77
