#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Does the series for hosts keep kernel style, apply without the one for guests, and
# compile, patch by patch, and where what it needs is switched off?
set -euo pipefail

what=host-series
# shellcheck source=guest-patches/linux-6.12/kernel-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../../guest-patches/linux-6.12/kernel-lib.sh"

usage() {
    cat <<EOF
Usage: check-series.sh [--each] [--cache DIR] [--force]
Run checkpatch over vmm/linux-kvm's series, and compile KVM after each patch, and
with all of them in configurations that switch off what it needs. Results are kept
by what they were made of.

  --each       also build the lab's kernel with each patch, and start KVM in it, in
               the box (hours; needs what ./check has built)
  --cache DIR  (default: \$IPIDEFER_CACHE or ~/.cache/ipidefer)
  --force      do it again
EOF
}

each=false force=false
while (($#)); do
    case $1 in
    --each) each=true ;;
    --force) force=true ;;
    --cache) cache=${2:?--cache needs a value}; shift ;;
    --help | -h) usage; exit 0 ;;
    *) usage >&2; die "unknown option '$1'" ;;
    esac
    shift
done
need_source
readonly root=$cache/host-series patches=$repo/vmm/linux-kvm/patches
mkdir -p "$root"
log=$root/log

# name: the options that it changes in the lab's configuration
readonly VARIANTS=(
    'off: KVM_IPI_DEFER=n'
    'no-tracing: FTRACE=n'
    'no-amd: KVM_AMD=n'
    'no-xen: XEN=n'
    'hyperv: KVM_HYPERV=y'
    'paranoid: PREEMPT_VOLUNTARY=n PREEMPT=y DEBUG_PREEMPT=y PROVE_LOCKING=y DEBUG_ATOMIC_SLEEP=y'
    '32-bit: 64BIT=n'
)

prints=$(source_id
    fingerprint_series "$patches"
    cat "$series_dir/config/lab.config" "${BASH_SOURCE[0]}" "$series_dir/kernel-lib.sh" |
        sha256sum
    gcc -dumpfullversion
    echo "each $each")
hash=$(hash_of "$prints")
if [[ -e $root/$hash ]] && ! $force; then
    echo "passed before with the same source, patches, config and compiler:"
    cat "$root/$hash"
    exit 0
fi
: >"$log"
lock
step "unpacking, log: $log"
unpack
report=$(mktemp "$root/report.XXXXXX")
cleanup+=("$report")
failed=0

say() {
    echo "$1" | tee -a "$report" >&2
    [[ $1 != FAILS* ]] || failed=1
}

# configure OPTION...: the lab's configuration, but for these. What patches for guests
# add to it is not there.
configure() {
    local wrong
    : >"$work/.variant"
    if (($#)); then printf 'CONFIG_%s\n' "$@" >"$work/.variant"; fi
    merge_configs "$series_dir/config/lab.config" "$work/.variant"
    wrong=$(lost "$work/.variant")
    [[ -z $wrong ]] || die "the configuration does not keep: ${wrong//$'\n'/, }"
}

# compile NAME: KVM as it is configured, without a warning.
compile() {
    local from=$(($(wc -l <"$log") + 1))
    if "${make[@]}" -j "$(nproc)" prepare >>"$log" 2>&1 &&
        "${make[@]}" -j "$(nproc)" arch/x86/kvm/ >>"$log" 2>&1 &&
        ! tail -n +"$from" "$log" | grep 'warning:' >/dev/null; then
        say "compiles: $1"
    else
        tail -n +"$from" "$log" | grep -E 'error|warning|Error' | sed 10q >&2 || true
        say "FAILS: $1"
    fi
}

number=0
while read -r name; do
    number=$((number + 1))
    out=$(cd "$work" && { ./scripts/checkpatch.pl --no-tree --no-summary --terse \
        --showfile --ignore FILE_PATH_CHANGES "$patches/$name" || true; })
    if [[ -z $out ]]; then
        say "checkpatch: $name"
    else
        printf '%s\n' "$out" >&2
        say "FAILS checkpatch: $name"
    fi
    apply_patch "$patches/$name" "$work" "$source"
    configure
    compile "$name"
    if $each; then
        kernel=$("$series_dir/build.sh" --host-upto "$number" --cache "$cache")
        if "$repo/build/ci/bin/ipidefer" lab box --kernel "$kernel" \
            -- sh -c 'test -c /dev/kvm' </dev/null >>"$log" 2>&1; then
            say "starts: $name"
        else
            say "FAILS to start: $name"
        fi
    fi
done < <(series "$patches")
for variant in "${VARIANTS[@]}"; do
    read -ra options <<<"${variant#*:}"
    configure "${options[@]}"
    compile "${variant%%:*}"
done
((failed == 0)) || exit 1
cp "$report" "$root/$hash"
step "all of $(wc -l <"$report") hold"
