#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The mixed workload again and again, for ten minutes. Each part says that it
# begins, so no --timeout is too short.
here=$(dirname "$0")
end=$(($(date +%s) + ${LAB_SECONDS:-600}))
while [ "$(date +%s)" -lt $end ]; do
    sh "$here/mixed.sh" || exit
done
