# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154
#
# What the checks of a series have in common: a tree of their own, one report, and
# what compiles there. Sourced in place of kernel-lib.sh.

# shellcheck source=guest-patches/linux-6.12/kernel-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/kernel-lib.sh"

# What results depend on, beside the source and the series.
checked_with() {
    cat "$series_dir/config/lab.config" "$series_dir"/{kernel,series}-lib.sh "$@" | sha256sum
    gcc -dumpfullversion
}

# passed_before NAME: show that result, if there is one; status 1 if there is none.
passed_before() {
    [[ -e $root/$1 ]] || return 1
    echo "passed before with the same source, patches, config and compiler:"
    cat "$root/$1"
}

# begin: a tree in $work, and an empty report.
begin() {
    lock
    step "unpacking, log: $log"
    unpack
    report=$(mktemp "$root/report.XXXXXX")
    cleanup+=("$report")
    failed=0
}

# say LINE: of the report. One that begins with FAILS is a failure.
say() {
    echo "$1" | tee -a "$report" >&2
    [[ $1 != FAILS* ]] || failed=1
}

# checkpatch PATCH [FILES]: kernel style, but in those files.
checkpatch() {
    local out
    # A tool's droppings, as a patch once had.
    if grep '^+++ b/\(.*/\)\?\.' "$1" >&2; then
        say "FAILS: ${1##*/} has a hidden file"
    fi
    out=$(cd "$work" && { ./scripts/checkpatch.pl --no-tree --no-summary --terse --showfile \
        --ignore FILE_PATH_CHANGES "$1" || true; } | { grep -Ev "^(${2:-})$" || true; })
    if [[ -z $out ]]; then
        say "checkpatch: ${1##*/}"
    else
        printf '%s\n' "$out" >&2
        say "FAILS checkpatch: ${1##*/}"
    fi
}

# configure FRAGMENT OPTION...: the variant must be what it says, or it shows
# nothing.
configure() {
    local fragment=$series_dir/config/$1.config wrong
    shift
    : >"$work/.variant"
    if (($#)); then printf 'CONFIG_%s\n' "$@" >"$work/.variant"; fi
    merge_configs "$fragment" "$work/.variant"
    wrong=$(lost "$work/.variant")
    [[ -z $wrong ]] || die "the configuration does not keep: ${wrong//$'\n'/, }"
}

# compile NAME OBJECT...: as it is configured, without a warning.
compile() {
    local name=$1 from=$(($(wc -l <"$log") + 1))
    shift
    if "${make[@]}" -j "$(nproc)" prepare >>"$log" 2>&1 &&
        "${make[@]}" -j "$(nproc)" "$@" >>"$log" 2>&1 &&
        ! tail -n +"$from" "$log" | grep 'warning:' >/dev/null; then
        say "compiles: $name"
    else
        tail -n +"$from" "$log" | grep -E 'error|warning|Error' | sed 10q >&2 || true
        say "FAILS: $name"
    fi
}

# end NAME...: keep the report under those names, if nothing failed.
end() {
    local name
    ((failed == 0)) || exit 1
    for name; do cp "$report" "$root/$name"; done
    step "all of $(wc -l <"$report") hold"
}
