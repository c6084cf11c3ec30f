#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Draw page.png, what a browser shows of the page of `ipidefer lab show --as html`.
#
# Usage: page.sh REPORT.json
# Needs gnuplot and Debian's chromium; IPIDEFER names the command, if it is not in PATH.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
report=${1:?usage: page.sh REPORT.json}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"${IPIDEFER:-ipidefer}" lab show --as html --output "$scratch/page.html" "$report"
# In a window that shows the tables and the first plots.
chromium --headless --no-sandbox --disable-gpu --user-data-dir="$scratch/home" \
    --hide-scrollbars --window-size=800,1500 --screenshot="$here/page.png" \
    "file://$scratch/page.html" 2>/dev/null
