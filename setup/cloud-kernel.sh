#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Fetch Debian's unmodified 6.12 cloud kernel, without installing it.
# Usage: cloud-kernel.sh [--cache DIR]
# Progress goes to standard error, the path of its vmlinuz to standard output.
set -euo pipefail

what=cloud-kernel
# shellcheck source=build-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/build-lib.sh"

cache_option "$@"
open_root cloud-kernel
debian_files 'linux-image-6\.12\.[0-9]+\+deb12-cloud-amd64(-unsigned)?' \
    'boot/vmlinuz-*:vmlinuz' 'boot/config-*:config'
printf '%s\n' "$folder/vmlinuz"
