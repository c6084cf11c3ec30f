#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Fetch Debian's Xen hypervisor, without installing it: the package would make it
# what this machine boots next.
# Usage: xen.sh [--cache DIR]
# Progress goes to standard error, the path of an image that QEMU's -kernel takes to
# standard output.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
what=xen
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
readonly root=$cache/xen
mkdir -p "$root"
log=$root/log
: >"$log"

debian_files 'xen-hypervisor-4\.17-amd64' 'boot/xen-*-amd64.gz:xen.gz'
# QEMU loads a multiboot image from an ELF file, which the package has compressed.
if [[ ! -e $folder/xen ]]; then
    gunzip -c "$folder/xen.gz" >"$folder/xen.$$"
    mv "$folder/xen.$$" "$folder/xen"
fi
printf '%s\n' "$folder/xen"
