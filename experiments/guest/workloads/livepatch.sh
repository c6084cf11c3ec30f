#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Live patching: a patch loaded, disabled and unloaded. A task that stays in userspace
# is asked by the kernel after 15 seconds to pass by, so each change takes that long.
module=/lab/modules/lab_livepatch.ko
control=/sys/kernel/livepatch/lab_livepatch
[ -d /sys/kernel/livepatch ] || { echo "this kernel has no live patching"; exit 77; }
[ -r $module ] || { echo "no $module was given (--modules)"; exit 77; }

# settled FILE TEXT: until the file says so; a file that is gone says nothing.
settled() {
    i=0
    while [ "$(cat $control/"$1" 2>/dev/null)" != "$2" ]; do
        [ $i -lt 60 ] || { echo "live patching: $1 is not '$2' after $i s"; return 1; }
        i=$((i + 1))
        sleep 1
    done
}
in_force() { grep -q 'live patch is in force' /proc/version; }

n=0
while [ $n -lt "${LAB_ROUNDS:-1}" ]; do
    echo "live patch $n"
    insmod $module && settled transition 0 && in_force || exit 1
    echo 0 >$control/enabled && settled transition '' && ! in_force || exit 1
    rmmod lab_livepatch || exit 1
    n=$((n + 1))
done
