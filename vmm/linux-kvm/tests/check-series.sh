#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Does the series for hosts keep kernel style, apply without the one for guests, and
# compile, patch by patch, and where what it needs is switched off?
set -euo pipefail

what=host-series
# shellcheck source=guest-patches/linux-6.12/series-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../../guest-patches/linux-6.12/series-lib.sh"

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
    checked_with "${BASH_SOURCE[0]}"
    echo "each $each")
hash=$(hash_of "$prints")
if ! $force && passed_before "$hash"; then exit 0; fi
begin

number=0
while read -r name; do
    number=$((number + 1))
    checkpatch "$patches/$name"
    apply_patch "$patches/$name" "$work" "$source"
    # What patches for guests add to the configuration is not there.
    configure lab
    compile "$name" arch/x86/kvm/
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
    configure lab "${options[@]}"
    compile "${variant%%:*}" arch/x86/kvm/
done
end "$hash"
