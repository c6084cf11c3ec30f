#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Static keys: each write switches the branches of scheduler statistics over.
key=/proc/sys/kernel/sched_schedstats
[ -w $key ] || { echo "this kernel has no $key"; exit 77; }
i=0
while [ $i -lt "${LAB_ROUNDS:-40}" ]; do
    echo 1 >$key && echo 0 >$key || exit 1
    i=$((i + 1))
done
