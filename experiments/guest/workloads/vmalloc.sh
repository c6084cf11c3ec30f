#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Kernel memory that is mapped and unmapped, by way of BPF maps: per-CPU memory,
# which is given back in the background, and large areas, which are purged when
# some 100 MB of them have come together.
rounds=${LAB_ROUNDS:-5}
lab-bpf-maps array 4096 1 1 2>/dev/null || { echo "this kernel has no BPF maps"; exit 77; }
i=0
while [ $i -lt "$rounds" ]; do
    lab-bpf-maps percpu 262144 40 1 || exit 1
    sleep 0.2 # the allocator gives back what it holds too much of
    i=$((i + 1))
done
exec lab-bpf-maps array 8388608 8 "$rounds"
