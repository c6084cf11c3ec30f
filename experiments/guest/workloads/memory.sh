#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Memory: swapped out and in, compacted, merged, set aside in huge pages, and taken
# away and brought back. Each part that this kernel can do.
ran=0
done_with() {
    case $2 in
    0) ran=$((ran + 1)) ;;
    77) ;;
    *) echo "memory: $1 failed"; exit 1 ;;
    esac
}

swap() {
    disk=/sys/block/zram0
    [ -w $disk/disksize ] || return 77
    echo 32M >$disk/disksize && mkswap /dev/zram0 >/dev/null && swapon /dev/zram0 || return 1
    lab-memory pageout 16
    status=$?
    swapoff /dev/zram0 && echo 1 >$disk/reset || return 1
    return $status
}

# A page of a task that moves interrupts that task. What is locked stays, as where
# applications are isolated.
compact() {
    locked=/proc/sys/vm/compact_unevictable_allowed
    [ ! -w $locked ] || echo 0 >$locked || return 1
    lab-memory compact 64
}

merge() {
    ksm=/sys/kernel/mm/ksm
    [ -w $ksm/run ] || return 77
    echo 2000 >$ksm/pages_to_scan && echo 1 >$ksm/run || return 1
    lab-memory merge 4
    status=$?
    echo 2 >$ksm/run && echo 0 >$ksm/run || return 1
    return $status
}

huge_pages() {
    pool=/proc/sys/vm/nr_hugepages
    [ -w $pool ] || return 77
    before=$(cat $pool)
    echo $((before + 8)) >$pool || return 1
    # A pool only grows as far as there is memory.
    [ "$(cat $pool)" -gt "$before" ] || return 1
    echo "$before" >$pool && [ "$(cat $pool)" = "$before" ]
}

# Blocks with memory of the kernel's own cannot go: the first one that can does. What
# the others have is not moved for it, and it is first while little has moved there.
hotplug() {
    for state in /sys/devices/system/memory/memory*/state; do
        [ -w "$state" ] || return 77
        echo offline >"$state" 2>/dev/null || continue
        echo online >"$state"
        return
    done
    echo "memory: each block has memory of the kernel"
    return 77
}

round=0
while [ $round -lt "${LAB_ROUNDS:-1}" ]; do
    for part in hotplug swap compact merge huge_pages; do
        echo "$part"
        $part
        done_with $part $?
    done
    round=$((round + 1))
done
[ $ran -gt 0 ] || exit 77
