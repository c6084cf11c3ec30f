#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Some of everything that this kernel can do. The lab takes what a workload says
# for a sign of life, so each part says that it begins.
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
# And whatever else is to be among it: NAME ROUNDS...
while [ $# -gt 0 ]; do
    run "$1" "$2"
    shift 2
done
[ $ran -gt 0 ] || exit 77
