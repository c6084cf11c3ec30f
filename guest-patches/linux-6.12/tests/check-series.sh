#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Does the series keep kernel style, and compile where its parts are switched
# off? Reviewers of its ancestors met builds that failed without SMP.
set -euo pipefail

what=series
# shellcheck source=../series-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../series-lib.sh"
# shellcheck source=../../../tests/guest-lib.sh
. "$repo/tests/guest-lib.sh"

usage() {
    cat <<EOF
Usage: check-series.sh [--brief | --each] [--from N] [--cache DIR] [--force]
Run checkpatch over the series, compile what it touches in configurations that
switch off what it needs, and see objtool refuse a static branch planted into
early entry code. Results are kept by what they were made of.

  --brief        only in those configurations that differ most
  --each         also build a small kernel after every patch, and boot it under
                 qemu-system-x86_64 (IPIDEFER_QEMU_STOCK names another one)
  --from N       with --each: begin with patch N
  --cache DIR    (default: \$IPIDEFER_CACHE or ~/.cache/ipidefer)
  --force        do it again
EOF
}

brief=false each=false force=false first=1
while (($#)); do
    case $1 in
    --brief) brief=true ;;
    --each) each=true ;;
    --from) first=${2:?--from needs a number}; shift ;;
    --force) force=true ;;
    --cache) cache=${2:?--cache needs a value}; shift ;;
    --help | -h) usage; exit 0 ;;
    *) usage >&2; die "unknown option '$1'" ;;
    esac
    shift
done
if $brief && $each; then die "--brief does not go with --each"; fi
[[ $first =~ ^[1-9][0-9]*$ ]] || die "--from: '$first' is not a number above 0"
need_source
readonly root=$cache/series
mkdir -p "$root"
log=$root/log

# What the series touches, and what includes the headers that it changes; after
# a colon, the option that kbuild builds it for.
readonly OBJECTS=(kernel/context_tracking.o:CONTEXT_TRACKING kernel/rcu/:
    kernel/cpu.o: kernel/entry/: kernel/workqueue.o: kernel/trace/ftrace.o:FUNCTION_TRACER kernel/livepatch/:LIVEPATCH
    kernel/jump_label.o:JUMP_LABEL kernel/sched/:
    arch/x86/kernel/irq.o: arch/x86/kernel/trace.o:TRACING arch/x86/kernel/idt.o: arch/x86/kernel/alternative.o:
    arch/x86/kernel/kprobes/:KPROBES arch/x86/kernel/module.o:MODULES
    arch/x86/kernel/ipi_defer.o:IPI_DEFER arch/x86/kernel/ipi_defer_test.o:IPI_DEFER_TEST
    arch/x86/entry/: arch/x86/mm/tlb.o: arch/x86/mm/pat/: arch/x86/kernel/cpu/common.o:
    mm/vmalloc.o:MMU mm/percpu.o: mm/mmu_gather.o:)

# name: the options that it changes in the lab's configuration
VARIANTS=(
    'lab:'
    'no-ipi-defer: IPI_DEFER=n'
    'no-faults: IPI_DEFER_FAULTS=n'
    'uniprocessor: SMP=n'
    'no-nohz-full: NO_HZ_FULL=n NO_HZ_IDLE=y'
    'no-modules: MODULES=n'
    'no-debugfs: DEBUG_FS=n'
    'no-tracing: FTRACE=n'
    'no-kprobes: KPROBES=n'
    'no-kexec: KEXEC_FILE=n CRASH_DUMP=n'
    'no-test: IPI_DEFER_TEST=n'
    'no-idle: IPI_DEFER_IDLE=n'
    'no-paravirt: PARAVIRT=n'
    'no-xen: XEN=n'
    'no-osnoise: OSNOISE_TRACER=n'
    'fred: X86_FRED=y'
    'paranoid: PREEMPT_VOLUNTARY=n PREEMPT=y DEBUG_PREEMPT=y RCU_EQS_DEBUG=y DEBUG_ENTRY=y PROVE_LOCKING=y'
    'torture: RCU_WATCHING_BITS=2'
    '32-bit: 64BIT=n KVM=n'
)
readonly BRIEF='no-ipi-defer uniprocessor no-nohz-full no-tracing 32-bit'
readonly VARIANTS

prints=$(source_id
    fingerprint_series "$series_dir/patches"
    checked_with "$series_dir/config/tiny.config" "${BASH_SOURCE[0]}" "$repo/tests/guest-lib.sh")
# What is found by --each includes what is found without, and that what --brief finds.
hash=$(hash_of "$prints") asked=$hash found=("$hash")
if $each; then asked=$(hash_of "$prints each $first") found=("$asked"); fi
if $brief; then asked=$(hash_of "$prints brief") found=("$asked" "$hash"); fi
for name in "${found[@]}"; do
    if ! $force && passed_before "$name"; then exit 0; fi
done
begin

# present: of OBJECTS, what is configured.
present() {
    local entry option
    for entry in "${OBJECTS[@]}"; do
        option=${entry#*:}
        if [[ -z $option ]] || grep -q "^CONFIG_$option=y" "$work/.config"; then
            echo "${entry%%:*}"
        fi
    done
}

# offends: a build with a planted static branch in early entry code must fail, for
# that reason, and succeed without it.
offends() {
    local from says='ipi_defer_offender can be switched at run time'
    configure tiny IPI_DEFER_FAULTS=y
    if ! "${make[@]}" -j "$(nproc)" vmlinux_o >>"$log" 2>&1; then
        tail -n 10 "$log" >&2
        say "FAILS: entry code without an offender"
        return
    fi
    configure tiny IPI_DEFER_FAULTS=y IPI_DEFER_PLANT_OFFENDER=y
    from=$(($(wc -l <"$log") + 1))
    if "${make[@]}" -j "$(nproc)" vmlinux_o >>"$log" 2>&1; then
        say "FAILS: objtool lets a planted offender pass"
    elif tail -n +"$from" "$log" | grep "error: objtool: .*$says" >&2; then
        say "objtool refuses: a planted offender in entry code"
    else
        tail -n 10 "$log" >&2
        say "FAILS: a planted offender ends the build in another way"
    fi
}

# The root of the guests: changes text while CPU 3 is in userspace.
make_initrd() {
    busybox_initrd "$root/initrd.cpio" <<'EOF'
#!/bin/busybox sh
PATH=/bin; export PATH
/bin/busybox --install -s /bin
mount -t proc proc /proc
taskset 8 sh -c 'while :; do :; done' &
sleep 1
for i in 1 2 3 4 5 6 7 8 9 10; do
    echo 1 >/proc/sys/kernel/sched_schedstats
    echo 0 >/proc/sys/kernel/sched_schedstats
done
kill $!
grep -E 'CPU|DSC|CAL' /proc/interrupts
# Without ACPI a kernel finds one CPU per socket.
[ "$(grep -c ^processor /proc/cpuinfo)" = 4 ] && echo "== end"
reboot -f
EOF
}

# boot NAME: build what is configured, and boot it in each mode that may exist.
boot() {
    local qemu=${IPIDEFER_QEMU_STOCK:-qemu-system-x86_64} mode console=$root/console
    if ! "${make[@]}" -j "$(nproc)" bzImage >>"$log" 2>&1; then
        tail -n 10 "$log" >&2
        say "FAILS to build: $1"
        return
    fi
    for mode in off guest; do
        run_guest "$qemu" "$console" "$work/arch/x86/boot/bzImage" "$root/initrd.cpio" \
            "nohz_full=2-3 isolcpus=managed_irq,domain,2-3 irqaffinity=0-1 \
ipi_defer=$mode" -accel tcg,thread=multi -cpu max -smp 4,sockets=4 -m 256 >>"$log" 2>&1 || true
        if ended_well "$console"; then
            say "boots, ipi_defer=$mode: $1"
        else
            tail -n 20 "$console" >&2
            say "FAILS to boot, ipi_defer=$mode: $1"
        fi
        cat "$console" >>"$log"
    done
}

patches=() number=0
while read -r name; do patches+=("$series_dir/patches/$name"); done \
    < <(series "$series_dir/patches")
if $each; then make_initrd; fi
for patch in "${patches[@]}"; do
    # It takes assembly in a header for C.
    checkpatch "$patch" 'arch/x86/entry/calling.h:.*'
    if $each; then
        apply_patch "$patch" "$work" "$source"
        number=$((number + 1))
        if ((number >= first)); then
            configure tiny
            boot "${patch##*/}"
        fi
    fi
done
$each || apply_series "$series_dir/patches" "$work" "$source"

for variant in "${VARIANTS[@]}"; do
    ! $brief || [[ " $BRIEF " == *" ${variant%%:*} "* ]] || continue
    read -ra options <<<"${variant#*:}"
    configure lab ${options[@]+"${options[@]}"}
    mapfile -t objects < <(present)
    compile "${variant%%:*}" "${objects[@]}"
done
offends
asked=("$asked")
if ! $brief; then asked+=("$hash"); fi
end "${asked[@]}"
