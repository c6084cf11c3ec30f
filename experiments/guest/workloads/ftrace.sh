#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Ftrace: the function tracer on and off, in an instance of its own.
instances=/sys/kernel/tracing/instances
own=$instances/workload-ftrace
mkdir $own 2>/dev/null || { echo "this kernel has no $instances"; exit 77; }
grep -qw function $own/available_tracers ||
    { rmdir $own; echo "this kernel has no function tracer"; exit 77; }
i=0 status=0
while [ $i -lt "${LAB_ROUNDS:-5}" ]; do
    { echo 'vfs_*' >$own/set_ftrace_filter &&
        echo function >$own/current_tracer &&
        echo >$own/set_ftrace_filter 'vfs_read' &&
        echo nop >$own/current_tracer; } || { status=1; break; }
    i=$((i + 1))
done
rmdir $own
exit $status
