#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Fetch Debian's Xen hypervisor, without installing it: the package would make it
# what this machine boots next.
# Usage: xen.sh [--cache DIR]
# Progress goes to standard error, the path of an image that QEMU's -kernel takes to
# standard output.
set -euo pipefail

what=xen
# shellcheck source=build-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/build-lib.sh"

cache_option "$@"
open_root xen
debian_files 'xen-hypervisor-4\.17-amd64' 'boot/xen-*-amd64.gz:xen.gz'
# QEMU loads a multiboot image from an ELF file, which the package has compressed.
if [[ ! -e $folder/xen ]]; then
    gunzip -c "$folder/xen.gz" >"$folder/xen.$$"
    mv "$folder/xen.$$" "$folder/xen"
fi
printf '%s\n' "$folder/xen"
