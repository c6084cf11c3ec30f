#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Kprobes: at a function's entry, which goes by ftrace, and inside of it, which
# takes a breakpoint that is later optimized into a jump.
tracing=/sys/kernel/tracing
[ -w $tracing/kprobe_events ] || { echo "this kernel has no kprobe events"; exit 77; }
i=0
while [ $i -lt "${LAB_ROUNDS:-5}" ]; do
    echo 'p:lab/entry vfs_read' >>$tracing/kprobe_events || exit 1
    # Where instructions begin depends on the kernel: take the first that does.
    for offset in 5 6 7 8 9 10 11 12 13 14 15 16; do
        echo "p:lab/inside vfs_read+$offset" 2>/dev/null \
            >>$tracing/kprobe_events && break
    done
    echo 1 >$tracing/events/lab/enable || exit 1
    sleep 0.1 # the optimizer waits for more probes first
    echo 0 >$tracing/events/lab/enable || exit 1
    echo '-:lab/entry' >>$tracing/kprobe_events || exit 1
    echo '-:lab/inside' >>$tracing/kprobe_events 2>/dev/null
    i=$((i + 1))
done
