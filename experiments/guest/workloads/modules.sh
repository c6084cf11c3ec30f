#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Modules: loaded and unloaded.
module=/lab/modules/crc7.ko
[ -r $module ] || { echo "no $module was given (--modules)"; exit 77; }
i=0
while [ $i -lt "${LAB_ROUNDS:-5}" ]; do
    insmod $module && rmmod crc7 || exit 1
    i=$((i + 1))
done
