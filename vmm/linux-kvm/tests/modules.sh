#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Do KVM's modules with the series build against the headers of Debian's kernel, as an
# operator has them installed, and have what the series adds?
set -euo pipefail

what=kvm-modules-test
# shellcheck source=guest-patches/linux-6.12/kernel-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../../guest-patches/linux-6.12/kernel-lib.sh"

usage() {
    cat <<EOF
Usage: modules.sh [--cache DIR]
Fetch the headers of Debian's newest kernel 6.12, and build KVM's modules for it with
build-modules.sh, in a mount namespace where they are installed. Needs root.

  --cache DIR  (default: \$IPIDEFER_CACHE or ~/.cache/ipidefer)
EOF
}
case ${1-} in
--help | -h) usage; exit 0 ;;
esac
cache_option "$@"
need_source
if ((EUID != 0)); then
    echo "skipped: only root may mount"
    exit 77
fi
open_root kvm-modules
lock
newest=$(newest_package 'linux-headers-6\.12\.[0-9]+\+deb[0-9]+-amd64')
if [[ -z $newest ]]; then
    echo "skipped: apt knows no linux-headers-6.12.*-amd64"
    exit 77
fi
version=${newest#linux-headers-} version=${version%-amd64}
tree=$root/$version
if [[ ! -d $tree ]]; then
    unpack_packages "linux-headers-$version-amd64" "linux-headers-$version-common" \
        "linux-kbuild-$version"
    publish "$tmp/tree" "$tree"
fi
out=$root/out
rm -rf "$out"
# The script's own variables are meant, in the namespace.
# shellcheck disable=SC2016
unshare -m bash -euc '
    for folder in /usr/src /usr/lib; do
        mount -t overlay overlay -o "lowerdir=$1$folder:$folder" "$folder"
    done
    exec "$2" --headers "/usr/src/linux-headers-$3-amd64" --out "$4"' \
    - "$tree" "$repo/vmm/linux-kvm/build-modules.sh" "$version" "$out"
for name in kvm kvm-amd kvm-intel; do
    [[ -s $out/$name.ko ]] || die "there is no $name.ko"
done
# A module without what it is built for would load as well.
strings -a "$out/kvm.ko" | grep -x kvm_ipi_defer >/dev/null || die "kvm.ko has no kvm_ipi_defer"
step "kvm.ko, kvm-amd.ko and kvm-intel.ko for $version-amd64"
