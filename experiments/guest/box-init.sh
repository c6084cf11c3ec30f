#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The first program in the box (box.hpp): a KVM host under TCG whose files are those of
# the machine below it, which stay as they are. It switches the box off in the end.
#
# Of the job, a folder of the machine below, it reads
#   modules      the kernel modules to load, in order, one in a line
#   shares       the folders that are writable below too: a mount tag and a path in a line
#   environment  of the command: lines for a shell
#   folder       where it is run
#   command      a line for a shell; without it, a shell obeys at the console
# and writes
#   started      when it comes to that
#   status       what the command ended with
# The file host has what the machine below says of the threads that are its CPUs.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
job=/run/box

# Without its first program a kernel panics, which ends the box. What was wrong is then
# the last but one that its console shows.
give_up() {
    echo "box: $1" >/dev/kmsg
    exit 1
}

# What is written goes to memory: an overlay over the other machine's root.
make_root() {
    mount -t tmpfs -o size=90% box /mnt || give_up "no memory for a root"
    mkdir /mnt/over /mnt/work /mnt/root
    mount -t overlay -o lowerdir=/,upperdir=/mnt/over,workdir=/mnt/work box /mnt/root ||
        give_up "no overlay over the root"
    cd /mnt/root || give_up "no root"
    # The old root stays reachable for the overlay, and for nothing else.
    pivot_root . mnt || give_up "the root cannot be changed"
    exec chroot . /bin/sh "$1" rooted
}

mount_all() {
    umount -l /mnt
    mount -t proc proc /proc
    mount -t sysfs sys /sys
    mount -t devtmpfs dev /dev
    mkdir -p /dev/pts /dev/shm
    mount -t devpts devpts /dev/pts
    mount -t tmpfs shm /dev/shm
    mount -t tmpfs run /run
    mkdir -p /run/lock "$job"
    ln -sfn /proc/self/fd /dev/fd
    mount -t debugfs debug /sys/kernel/debug
    mount -t tracefs trace /sys/kernel/tracing
    mount -t cgroup2 cgroup /sys/fs/cgroup
    ip link set lo up 2>/dev/null
    mount_9p job "$job" || give_up "no job"
    while read -r tag folder; do
        mkdir -p "$folder"
        mount_9p "$tag" "$folder" || give_up "no $folder to write to"
    done <"$job/shares"
    while read -r module; do
        insmod "$module" || give_up "no $module"
    done <"$job/modules"
    # Whoever is in the box may use it.
    chmod 666 /dev/kvm
}

mount_9p() { mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144,cache=none "$@"; }

# The port of this name, whatever its number.
port() {
    for found in /sys/class/virtio-ports/*; do
        [ "$(cat "$found/name")" != "$1" ] || echo "/dev/${found##*/}"
    done
}

run_command() {
    cd "$(cat "$job/folder")" || give_up "no folder to run the command in"
    # shellcheck source=/dev/null
    . "$job/environment"
    : >"$job/started"
    if [ -e "$job/command" ]; then
        sh -c "$(cat "$job/command")" </dev/null >"$(port out)" 2>"$(port errors)"
    else
        setsid -c "${SHELL:-/bin/sh}" </dev/hvc0 >/dev/hvc0 2>&1
    fi
    echo $? >"$job/status"
}

[ "$1" = rooted ] || make_root "$0"
mount_all
(run_command)
sync
echo o >/proc/sysrq-trigger
while :; do sleep 60; done
