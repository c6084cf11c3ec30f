#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The shared library exports exactly the functions of ipidefer.h, and the core
# calls nothing outside itself but memory functions, snprintf (fault texts)
# and the allocator (vm_create): hence no system calls, clock or threads.
# usage: symbols_test.sh HEADER SHARED_LIBRARY STATIC_LIBRARY
set -eu
header=$1 shared=$2 static=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Declarations, without the static inline ones and the comments.
sed -e 's,/\*.*\*/,,' "$header" | tr '\n' ' ' | tr ';' '\n' |
    sed -n 's/.*IPIDEFER_EXPORT .*[ *]\(ipidefer_[a-z0-9_]*\)(.*/\1/p' |
    sort >"$work/declared"
nm -D --defined-only "$shared" | awk '$2 != "A" { print $3 }' |
    sed 's/@.*//' | sort >"$work/exported"
test -s "$work/declared"
diff -u "$work/declared" "$work/exported"

nm --defined-only "$static" | awk 'NF == 3 { print $3 }' | sort -u >"$work/own"
nm --undefined-only "$static" | awk '$1 == "U" { print $2 }' | sort -u |
    comm -23 - "$work/own" | grep -vxE \
    '_GLOBAL_OFFSET_TABLE_|mem(cpy|set|move|cmp)|(__)?snprintf(_chk)?|__stack_chk_fail|__popcountdi2|_ZSt7nothrow|_Zn[wa]m(St11align_val_t)?RKSt9nothrow_t|_Zd[la]Pv(m)?(St11align_val_t)?' \
    >"$work/foreign" || true
if [ -s "$work/foreign" ]; then
    echo "the core uses symbols that it should not:"
    cat "$work/foreign"
    exit 1
fi
