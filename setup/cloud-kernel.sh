#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Fetch Debian's unmodified 6.12 cloud kernel, without installing it.
# Usage: cloud-kernel.sh [--cache DIR]
# Progress goes to standard error, the path of its vmlinuz to standard output.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
what=cloud-kernel
# shellcheck source=build-lib.sh
. "$here/build-lib.sh"

cache=${IPIDEFER_CACHE:-$HOME/.cache/ipidefer}
while (($#)); do
    case $1 in
    --cache) cache=${2:?--cache needs a value}; shift ;;
    *) die "unknown option '$1'" ;;
    esac
    shift
done
readonly root=$cache/cloud-kernel
mkdir -p "$root"
log=$root/log
: >"$log"

names() {
    apt-cache pkgnames linux-image-6.12 2>/dev/null |
        { grep -E '^linux-image-6\.12\.[0-9]+\+deb12-cloud-amd64(-unsigned)?$' || true; } | sort -V
}
package=$(names | tail -n1)
if [[ -z $package ]]; then
    # No lists: what has been fetched before will do.
    package=$(find "$root" -mindepth 1 -maxdepth 1 -type d -printf '%f\n' | sort -V | tail -n1)
    [[ $package ]] || die "apt knows no 6.12 cloud kernel; run apt-get update"
fi
result=$root/$package
if [[ ! -d $result ]]; then
    lock
fi
if [[ ! -d $result ]]; then
    step "fetching $package"
    tmp=$(mktemp -d "$root/publish.XXXXXX")
    cleanup+=("$tmp")
    cd "$tmp"
    logged "apt-get download" apt-get -q -o APT::Sandbox::User="$(id -un)" download "$package"
    logged "unpacking $package" dpkg-deb -x ./*.deb tree
    mkdir out
    cp tree/boot/vmlinuz-* out/vmlinuz
    cp tree/boot/config-* out/config
    publish "$tmp/out" "$result"
fi
printf '%s\n' "$result/vmlinuz"
