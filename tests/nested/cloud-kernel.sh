#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Debian's unmodified cloud kernel sees no difference (I3): under the stock QEMU,
# the patched one, and the patched one with the object, it prints the same to the
# last byte, the times of its messages included.
#
# Needs IPIDEFER_QEMU, IPIDEFER_QEMU_STOCK, IPIDEFER_CLOUD_KERNEL (a vmlinuz).
# Exit 0: no difference, 1: a difference, 77: something is missing.
set -euo pipefail

# shellcheck source=../guest-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../guest-lib.sh"

for name in IPIDEFER_QEMU IPIDEFER_QEMU_STOCK IPIDEFER_CLOUD_KERNEL; do
    if [[ ! -r ${!name-} ]]; then
        echo "skipped: $name is '${!name-}', which is not there"
        exit 77
    fi
done
command -v busybox >/dev/null || { echo "skipped: no busybox (Debian package busybox-static)"; exit 77; }
command -v cpio >/dev/null || { echo "skipped: no cpio"; exit 77; }

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
busybox_initrd "$dir/initrd" <<'EOF'
#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
echo "== cpuinfo"
/bin/busybox cat /proc/cpuinfo
echo "== interrupts"
/bin/busybox cat /proc/interrupts
echo "== iomem"
/bin/busybox cat /proc/iomem
echo "== pci"
for d in /sys/bus/pci/devices/*; do
    echo "$d $(/bin/busybox cat $d/vendor $d/device $d/class)"
done
echo "== end"
/bin/busybox poweroff -f
EOF

# boot NAME QEMU [OPTION]...: the console goes to $dir/NAME
boot() {
    local name=$1 qemu=$2
    shift 2
    run_guest "$qemu" "$dir/$name" "$IPIDEFER_CLOUD_KERNEL" "$dir/initrd" '' \
        "${DETERMINISTIC[@]}" -smp 2 -m 512 "$@" || {
        echo "$name: QEMU ended with status $?"
        tail -n 20 "$dir/$name"
        exit 1
    }
    if ! ended_well "$dir/$name"; then
        echo "$name: the guest did not get to its end:"
        tail -n 20 "$dir/$name"
        exit 1
    fi
    echo "$name: $(wc -l <"$dir/$name") lines, $(wc -c <"$dir/$name") bytes"
}

both() {
    local failed=0
    wait "$first" || failed=1
    wait "$second" || failed=1
    ((failed == 0)) || exit 1
}

same() { cmp -s "$dir/$1" "$dir/$2"; }

object=(-object 'ipi-defer,id=defer0,isolated-cpus=1')
# Two at a time, on a thread each; what they say does not depend on how fast they are.
boot stock "$IPIDEFER_QEMU_STOCK" -cpu max & first=$!
boot patched "$IPIDEFER_QEMU" -cpu max & second=$!
both
# The second is the control: a machine that differs a little must show.
boot with-object "$IPIDEFER_QEMU" -cpu max "${object[@]}" & first=$!
boot control "$IPIDEFER_QEMU" -cpu max,-x2apic "${object[@]}" & second=$!
both

status=0
for other in patched with-object; do
    if same stock "$other"; then
        echo "stock and $other: the same, byte for byte"
    else
        echo "stock and $other differ:"
        diff "$dir/stock" "$dir/$other" | head -n 20 || true
        status=1
    fi
done
if same with-object control; then
    echo "the control does not differ: this comparison would see nothing"
    status=1
fi
exit $status
