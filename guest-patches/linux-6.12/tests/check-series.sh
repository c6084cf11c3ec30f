#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Does the series keep kernel style, and compile where its parts are switched
# off? Reviewers of its ancestors met builds that failed without SMP.
set -euo pipefail

what=series
# shellcheck source=../kernel-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../kernel-lib.sh"
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
    cat "$series_dir"/config/{lab,tiny}.config "${BASH_SOURCE[0]}" \
        "$series_dir/kernel-lib.sh" "$repo/tests/guest-lib.sh" | sha256sum
    gcc -dumpfullversion)
# What is found by --each includes what is found without, and that what --brief finds.
hash=$(hash_of "$prints") asked=$hash found=("$hash")
if $each; then asked=$(hash_of "$prints each $first") found=("$asked"); fi
if $brief; then asked=$(hash_of "$prints brief") found=("$asked" "$hash"); fi
for name in "${found[@]}"; do
    if [[ -e $root/$name ]] && ! $force; then
        echo "passed before with the same source, patches, config and compiler:"
        cat "$root/$name"
        exit 0
    fi
done
: >"$log"
lock
step "unpacking, log: $log"
unpack
report=$(mktemp "$root/report.XXXXXX")
cleanup+=("$report")
failed=0

# compile NAME: what is configured must compile, without a warning.
compile() {
    local entry option present=() from
    for entry in "${OBJECTS[@]}"; do
        option=${entry#*:}
        [[ -z $option ]] || grep -q "^CONFIG_$option=y" "$work/.config" || continue
        present+=("${entry%%:*}")
    done
    from=$(($(wc -l <"$log") + 1))
    if "${make[@]}" -j "$(nproc)" prepare >>"$log" 2>&1 &&
        "${make[@]}" -j "$(nproc)" "${present[@]}" >>"$log" 2>&1 &&
        ! tail -n +"$from" "$log" | grep 'warning:' >/dev/null; then
        echo "compiles: $1" | tee -a "$report" >&2
    else
        tail -n +"$from" "$log" | grep -E 'error|warning|Error' | sed 10q >&2 || true
        echo "FAILS: $1" | tee -a "$report" >&2
        failed=1
    fi
}

# offends: a build with a planted static branch in early entry code must fail, for
# that reason, and succeed without it.
offends() {
    local from says='ipi_defer_offender can be switched at run time'
    configure tiny IPI_DEFER_FAULTS=y
    if ! "${make[@]}" -j "$(nproc)" vmlinux_o >>"$log" 2>&1; then
        tail -n 10 "$log" >&2
        echo "FAILS: entry code without an offender" | tee -a "$report" >&2
        failed=1
        return
    fi
    configure tiny IPI_DEFER_FAULTS=y IPI_DEFER_PLANT_OFFENDER=y
    from=$(($(wc -l <"$log") + 1))
    if "${make[@]}" -j "$(nproc)" vmlinux_o >>"$log" 2>&1; then
        echo "FAILS: objtool lets a planted offender pass" | tee -a "$report" >&2
        failed=1
    elif tail -n +"$from" "$log" | grep "error: objtool: .*$says" >&2; then
        echo "objtool refuses: a planted offender in entry code" | tee -a "$report" >&2
    else
        tail -n 10 "$log" >&2
        echo "FAILS: a planted offender ends the build in another way" | tee -a "$report" >&2
        failed=1
    fi
}

# configure FRAGMENT OPTION...: the variant must be what it says, or it shows
# nothing.
configure() {
    local fragment=$series_dir/config/$1.config option wrong
    shift
    for option in "$@"; do printf 'CONFIG_%s\n' "$option"; done >"$work/.variant"
    merge_configs "$fragment" "$work/.variant"
    wrong=$(lost "$work/.variant")
    [[ -z $wrong ]] || die "the configuration does not keep: ${wrong//$'\n'/, }"
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
        echo "FAILS to build: $1" | tee -a "$report" >&2
        failed=1
        return
    fi
    for mode in off guest; do
        run_guest "$qemu" "$console" "$work/arch/x86/boot/bzImage" "$root/initrd.cpio" \
            "nohz_full=2-3 isolcpus=managed_irq,domain,2-3 irqaffinity=0-1 \
ipi_defer=$mode" -accel tcg,thread=multi -cpu max -smp 4,sockets=4 -m 256 >>"$log" 2>&1 || true
        if ended_well "$console"; then
            echo "boots, ipi_defer=$mode: $1" | tee -a "$report" >&2
        else
            tail -n 20 "$console" >&2
            echo "FAILS to boot, ipi_defer=$mode: $1" | tee -a "$report" >&2
            failed=1
        fi
        cat "$console" >>"$log"
    done
}

patches=() number=0
while read -r name; do patches+=("$series_dir/patches/$name"); done \
    < <(series "$series_dir/patches")
if $each; then make_initrd; fi
for patch in "${patches[@]}"; do
    # A tool's droppings, as a patch once had.
    if grep '^+++ b/\(.*/\)\?\.' "$patch" >&2; then
        echo "FAILS: ${patch##*/} has a hidden file" | tee -a "$report" >&2
        failed=1
    fi
    # checkpatch takes assembly in a header for C.
    out=$(cd "$work" && { ./scripts/checkpatch.pl --no-tree --no-summary --terse --showfile \
        --ignore FILE_PATH_CHANGES "$patch" || true; } |
        { grep -v '^arch/x86/entry/calling.h:' || true; })
    if [[ -z $out ]]; then
        echo "checkpatch: ${patch##*/}" >>"$report"
    else
        printf '%s\n' "$out" >&2
        echo "FAILS checkpatch: ${patch##*/}" | tee -a "$report" >&2
        failed=1
    fi
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
    compile "${variant%%:*}"
done
offends
((failed == 0)) || exit 1
$brief || cp "$report" "$root/$hash"
[[ $asked == "$hash" ]] || cp "$report" "$root/$asked"
step "all of $(wc -l <"$report") hold"
