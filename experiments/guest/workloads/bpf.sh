#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# BPF: programs compiled, attached to a socket, and freed.
jit=/proc/sys/net/core/bpf_jit_enable
if [ ! -r $jit ] || [ "$(cat $jit)" = 0 ]; then
    echo "this kernel has no BPF JIT, or it is off"
    exit 77
fi
exec lab-bpf-attach "$((${LAB_ROUNDS:-5} * 20))"
