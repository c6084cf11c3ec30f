#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Control groups: BPF programs attached to one, and detached.
cgroups=/tmp/workload-cgroups
mkdir -p $cgroups
mount -t cgroup2 none $cgroups 2>/dev/null ||
    { echo "this kernel has no control groups of version 2"; exit 77; }
mkdir $cgroups/lab && lab-cgroup-bpf $cgroups/lab "$((${LAB_ROUNDS:-5} * 2))"
status=$?
rmdir $cgroups/lab
umount $cgroups
exit $status
