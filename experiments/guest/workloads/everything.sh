#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# All of the workloads that this kernel can run, one after another; not what has to
# interrupt.
exec sh "$(dirname "$0")/mixed.sh" thp 2 memory 1 perf 3 seccomp 2 cgroup-bpf 3 livepatch 1
