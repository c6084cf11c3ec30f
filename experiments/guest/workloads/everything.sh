#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# All of the workloads that this kernel can run, one after another; not what has to
# interrupt. Each part says that it begins, which the lab takes for a sign of life.
here=$(dirname "$0") ran=0
run() {
    echo "$1"
    LAB_ROUNDS=$2 sh "$here/$1.sh"
    case $? in
    0) ran=$((ran + 1)) ;;
    77) ;;
    *) echo "$1 failed"; exit 1 ;;
    esac
}
run static-keys 20
run kprobes 3
run ftrace 3
run bpf 2
run modules 3
run vmalloc 5
run thp 2
run memory 1
run perf 3
run seccomp 2
run cgroup-bpf 3
run livepatch 1
[ $ran -gt 0 ] || exit 77
