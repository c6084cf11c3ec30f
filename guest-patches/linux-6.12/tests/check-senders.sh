#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Does senders.toml name whatever can make another CPU act in Linux with the series?
# A patch that adds a sender, or removes one, has to say so there.
set -euo pipefail

what=senders
# shellcheck source=../kernel-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../kernel-lib.sh"

usage() {
    cat <<EOF
Usage: check-senders.sh [--cache DIR]
Unpack what senders.py reads of the installed source, apply the series, and compare
the call sites with senders.toml.

  --cache DIR    where to unpack (default: \$IPIDEFER_CACHE or ~/.cache/ipidefer)
EOF
}

while (($#)); do
    case $1 in
    --cache) cache=${2:?--cache needs a value}; shift ;;
    --help | -h) usage; exit 0 ;;
    *) usage >&2; die "unknown option '$1'" ;;
    esac
    shift
done
need_source
open_root senders
lock
work=$(mktemp -d "$root/work.XXXXXX")
cleanup+=("$work")

mapfile -t changed < <(series "$series_dir/patches" | while read -r name; do
    sed -n 's,^--- a/\([^[:space:]]*\).*,\1,p' "$series_dir/patches/$name"
done | sort -u)
step "unpacking, log: $log"
# Half a minute of both cores; all of the source would take longer to write.
xz -dc "$source" | "$series_dir/senders/senders.py" extract "$work" "${changed[@]}"
apply_series "$series_dir/patches" "$work" "$source"
step "reading"
"$series_dir/senders/senders.py" check "$work"

# The control: that was not all for want of looking.
echo 'void planted(void) { on_each_cpu(planted, NULL, 1); }' >>"$work/kernel/fork.c"
status=0
said=$("$series_dir/senders/senders.py" check "$work") || status=$?
if ((status != 1)) || [[ $said != kernel/fork.c:*': planted: on_each_cpu: no row covers this' ]]; then
    die "a planted sender is not found: status $status, $said"
fi
