# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Guests of the tests that are shell scripts: an initramfs, a run of QEMU with
# nothing that was not asked for, and whether the guest got to its end.

# With one thread, instructions for time, a fixed clock and a fixed seed, a run
# is a function of the machine that the guest sees.
# shellcheck disable=SC2034,SC2054
readonly DETERMINISTIC=(-accel tcg,thread=single -icount shift=0,sleep=off
    -seed 1 -rtc base=2026-01-01,clock=vm)

# pack_initrd DIR FILE: FILE, an initramfs of what is in DIR.
pack_initrd() {
    (cd "$1" && find . | LC_ALL=C sort | cpio -o -H newc --quiet) >"$2"
}

# busybox_initrd FILE: an initramfs with busybox, and standard input as /init.
busybox_initrd() {
    local busybox tree=$1.tree
    busybox=$(command -v busybox) || {
        echo "no busybox (Debian package busybox-static)" >&2
        return 1
    }
    rm -rf "$tree"
    mkdir -p "$tree"/{bin,dev,proc,sys}
    cp "$busybox" "$tree/bin/busybox"
    cat >"$tree/init"
    chmod +x "$tree/init"
    pack_initrd "$tree" "$1"
    rm -rf "$tree"
}

# run_guest QEMU CONSOLE KERNEL INITRD PARAMETERS OPTION...: until the guest ends
# QEMU, with its console in the file CONSOLE. The accelerator is among OPTION.
# guest_seconds is how long it may take.
guest_seconds=240
run_guest() {
    local qemu=$1 console=$2 kernel=$3 initrd=$4 parameters=$5
    shift 5
    : >"$console"
    timeout "$guest_seconds" "$qemu" -nodefaults -no-user-config -display none -no-reboot \
        -L /usr/share/seabios -L /usr/share/qemu -serial "file:$console" \
        -kernel "$kernel" -initrd "$initrd" \
        -append "console=ttyS0 panic=-1${parameters:+ $parameters}" "$@" </dev/null
}

# What no kernel says that is well. For Python: tests/support/linux_guest.py.
readonly KERNEL_TROUBLE='WARNING:|BUG:|Oops|rcu: INFO|Kernel panic'

# ended_well CONSOLE: the guest said "== end", and its kernel did not complain.
ended_well() {
    grep -q '^== end' "$1" && ! grep -E "$KERNEL_TROUBLE" "$1" >&2
}
