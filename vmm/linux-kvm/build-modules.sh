#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Build kvm.ko, kvm-amd.ko and kvm-intel.ko with the series for an installed kernel,
# from its headers and the source of KVM. See README.md; --help shows the options.
set -euo pipefail

what=kvm-modules
# shellcheck source=guest-patches/linux-6.12/kernel-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../guest-patches/linux-6.12/kernel-lib.sh"
# shellcheck source=vmm/linux-kvm/modules-lib.sh
. "$repo/vmm/linux-kvm/modules-lib.sh"

headers=/lib/modules/$(uname -r)/build out='' jobs=$(nproc)
usage() {
    cat <<EOF
Usage: build-modules.sh --out DIR [OPTION]...
Build KVM's modules with the series for hosts, for the kernel whose headers are
installed. They take the place of the kernel's own: see README.md.

  --out DIR      put the modules here
  --headers DIR  of the kernel (default: $headers)
  --source FILE  the archive that has KVM's source (default: $source)
  --jobs N       compile N files at a time (default: $jobs)
EOF
}
parse_options --out=out --headers=headers --source=source --jobs=jobs -- "$@"
[[ $out ]] || die "--out: where to put the modules"
check_jobs
[[ -r $headers/include/generated/utsrelease.h ]] ||
    die "--headers: '$headers' has no include/generated/utsrelease.h
On Debian 12: apt-get install linux-headers-amd64 (from backports for 6.12)"
[[ -r $source ]] || die "no kernel source at '$source'
On Debian 12: apt-get install linux-source-6.12"
release=$(cut -d'"' -f2 "$headers/include/generated/utsrelease.h" | tail -n1)
[[ $release == 6.12.* ]] || die "the headers are of $release, the series is for 6.12"
mkdir -p "$out"
out=$(cd "$out" && pwd)
headers=$(cd "$headers" && pwd)
log=$out/log
: >"$log"
tree=$(mktemp -d "${TMPDIR:-/tmp}/ipidefer-modules.XXXXXX")
cleanup+=("$tree")

step "for $release, log: $log"
prepare_kvm "$tree"
module=$tree/arch/x86/kvm
mapfile -t variables < <(kvm_make "$tree")
step "compiling, with $jobs jobs"
logged "building the modules" make -C "$headers" -j "$jobs" "${variables[@]}" modules
for name in kvm kvm-amd kvm-intel; do
    magic=$(modinfo -F vermagic "$module/$name.ko")
    [[ ${magic%% *} == "$release" ]] || die "$name.ko is for '${magic%% *}', not '$release'"
    cp "$module/$name.ko" "$out/"
done
step "done: $out"
