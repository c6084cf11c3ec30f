#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The mixed workload again and again, for ten minutes. Takes --timeout 900.
here=$(dirname "$0")
end=$(($(date +%s) + ${LAB_SECONDS:-600}))
while [ "$(date +%s)" -lt $end ]; do
    sh "$here/mixed.sh" || exit
done
