#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# rcutorture's scenario TREE04 in a guest, with RCU's watching counter cut down to
# 2 bits, while work bits come and go in the same word: text is changed all along,
# with ipi_defer=guest.
#
# rcutorture has a broken RCU of its own, which must be found out: the control.
set -euo pipefail

what=rcutorture
# shellcheck source=../kernel-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../kernel-lib.sh"
# shellcheck source=../../../tests/guest-lib.sh
. "$repo/tests/guest-lib.sh"

usage() {
    cat <<EOF
Usage: rcutorture.sh [SECONDS]
Torture RCU for so long (default 60, at least 20) on 4 CPUs, 3 of them nohz_full,
in IPIDEFER_QEMU or, without that, qemu-system-x86_64. A stock QEMU may translate
text from before a change after it, which ends as "Oops: int3" sooner or later.
For hours: rcutorture.sh 14400. Exit 0: RCU held, 1: it did not, 77: cannot run.
EOF
}

case ${1-} in --help | -h) usage; exit 0 ;; esac
seconds=${1:-60}
if ! [[ $seconds =~ ^[0-9]{2,6}$ ]] || ((seconds < 20)); then
    die "SECONDS: '$seconds' is not a number from 20 on"
fi
qemu=${IPIDEFER_QEMU:-qemu-system-x86_64}
command -v "$qemu" >/dev/null || { echo "skipped: no $qemu"; exit 77; }
need_source

kernel=$("$series_dir/build.sh" --base tiny --config "$series_dir/config/torture.config")
dir=$(mktemp -d)
cleanup+=("$dir")

busybox_initrd "$dir/initrd" <<'EOF'
#!/bin/busybox sh
PATH=/bin; export PATH
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t debugfs debug /sys/kernel/debug
# CPU 3 goes back and forth between userspace and the kernel.
taskset 8 sh -c 'while :; do i=0; while [ $i -lt 1000 ]; do i=$((i + 1)); done; : </dev/null; done' &
n=0
while :; do
    echo 1 >/proc/sys/kernel/sched_schedstats
    echo 0 >/proc/sys/kernel/sched_schedstats
    n=$((n + 1))
    [ $((n % 200)) != 0 ] || grep -H sync_core /sys/kernel/debug/x86/ipi_defer/stats
done
EOF

# torture TYPE SECONDS: rcutorture's verdict on an RCU, in a word. The small
# kernel cannot switch the machine off, so that is done here. Without ACPI it finds one
# CPU per socket.
torture() {
    local console=$dir/console-$1 guest
    : >"$console"
    run_guest "$qemu" "$console" "$kernel/bzImage" "$dir/initrd" \
        "ipi_defer=guest nohz_full=1-3 rcutree.rcu_fanout_leaf=4 \
rcutorture.torture_type=$1 rcutorture.shutdown_secs=$2 rcutorture.stat_interval=10 \
rcutorture.onoff_interval=1000 rcutorture.onoff_holdoff=5 rcutorture.fwd_progress=0 \
torture.disable_onoff_at_boot" \
        -accel tcg,thread=multi -cpu max -smp 4,sockets=4 -m 512 2>"$dir/qemu-$1" &
    guest=$!
    while kill -0 "$guest" 2>/dev/null &&
        ! grep -q 'reboot: Power down' "$console"; do
        sleep 1
    done
    # Its child is timeout, which takes QEMU with it.
    pkill -TERM -P "$guest" || true
    wait "$guest" || true
    sed -n 's/.*End of test: \([A-Z_]*\).*/\1/p' "$console" | tail -n 1
}

# shellcheck disable=SC2034 # for run_guest
guest_seconds=$((seconds + 120))
# Not every run of 20 seconds catches it, so it has some; one is enough.
for ((tries = 1; tries <= 5; tries++)); do
    step "a broken RCU, for 20 seconds"
    control=$(torture busted 20)
    [[ $control == SUCCESS ]] || break
done
step "RCU, for $seconds seconds"
verdict=$(torture rcu "$seconds")
echo "the control, a broken RCU: ${control:-no verdict}"
echo "RCU with a counter of 2 bits: ${verdict:-no verdict}"
grep 'sync_core' "$dir/console-rcu" | tail -n 4 || true
status=0
if [[ $verdict != SUCCESS ]] ||
    grep -E "$KERNEL_TROUBLE|!!!" "$dir/console-rcu"; then
    tail -n 30 "$dir/console-rcu"
    status=1
fi
if [[ $control != FAILURE ]]; then
    echo "the broken RCU passes: this would not see another one"
    tail -n 30 "$dir/console-busted"
    status=1
fi
exit $status
