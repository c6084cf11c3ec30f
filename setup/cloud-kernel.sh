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

debian_files 'linux-image-6\.12\.[0-9]+\+deb12-cloud-amd64(-unsigned)?' \
    'boot/vmlinuz-*:vmlinuz' 'boot/config-*:config'
printf '%s\n' "$folder/vmlinuz"
