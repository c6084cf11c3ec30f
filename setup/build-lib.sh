# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154
#
# What the builds of QEMU, of kernels and what fetches Debian's packages have in
# common: progress, logs, patches, and results cached by what they were made of.
#
# The script that sources this sets `what` (a word for messages), and before
# the functions that say so, `log` (a file), `root` (its folder in the cache).

# shellcheck disable=SC2034 # for those who source this
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Where results are kept, if --cache does not say another folder.
cache=${IPIDEFER_CACHE:-$HOME/.cache/ipidefer}

start=$SECONDS
step() { printf '[%4ds] %s: %s\n' $((SECONDS - start)) "$what" "$*" >&2; }
die() { printf '%s: %s\n' "$what" "$*" >&2; exit 1; }

# Folders to remove on the way out, however that comes.
cleanup=()
trap '((${#cleanup[@]} == 0)) || rm -rf "${cleanup[@]}"' EXIT

# logged WHAT COMMAND...: run with output to $log; on failure show its end.
logged() {
    local doing=$1
    shift
    if ! "$@" >>"$log" 2>&1; then
        printf -- '---- the end of %s:\n' "$log" >&2
        tail -n 25 "$log" >&2
        die "$doing failed, see $log"
    fi
}

# series DIR: the names of the patches in DIR, in order.
series() { sed -e 's/[[:space:]]*#.*//' -e '/^[[:space:]]*$/d' "$1/series"; }

# fingerprint_series DIR: a line for each patch.
fingerprint_series() {
    local name
    series "$1" | while read -r name; do
        printf 'patch %s\n' "$(sha256sum <"$1/$name")"
    done
}

# apply_patch FILE TREE TO: apply it to TREE, or say that it does not apply to TO.
# Offsets are fine, fuzz is not.
apply_patch() {
    local name=${1##*/} out
    out=$(patch -d "$2" -p1 --fuzz=0 --no-backup-if-mismatch \
        --batch --forward <"$1" 2>&1) || {
        printf '%s\n' "$out" | tee -a "$log" >&2
        die "patch '$name' does not apply to $3; nothing was built"
    }
    printf '%s:\n%s\n' "$name" "$out" >>"$log"
}

# apply_series DIR TREE TO [COUNT]: apply the patches of DIR, or the first COUNT.
apply_series() {
    local name n=0
    while read -r name; do
        [[ -r $1/$name ]] || die "$1/series names '$name', which is not there"
        apply_patch "$1/$name" "$2" "$3"
        n=$((n + 1))
    done < <(series "$1" | head -n "${4:--0}")
    step "$n patches applied"
}

# parse_options SPEC... -- ARGUMENT...: set variables to what the command line says. A SPEC is
# --OPTION=VARIABLE for an option with a value, or --OPTION:VARIABLE:VALUE for one that sets
# the variable to VALUE. --help is usage(), and so is what there is no such option for.
parse_options() {
    local -A valued=() fixed=()
    while [[ $1 != -- ]]; do
        case $1 in
        *=*) valued["${1%%=*}"]=${1#*=} ;;
        *) fixed["${1%%:*}"]=${1#*:} ;;
        esac
        shift
    done
    shift
    local option
    while (($#)); do
        option=${1:--}
        if [[ ${valued["$option"]-} ]]; then
            (($# > 1)) || die "$1 needs a value"
            printf -v "${valued["$option"]}" %s "$2"
            shift
        elif [[ ${fixed["$option"]-} ]]; then
            printf -v "${fixed["$option"]%%:*}" %s "${fixed["$option"]#*:}"
        else
            case $1 in
            --help | -h) usage; exit 0 ;;
            *) usage >&2; die "unknown option '$1'" ;;
            esac
        fi
        shift
    done
}

# check_jobs: that $jobs is what make takes.
check_jobs() {
    [[ $jobs =~ ^[1-9][0-9]*$ ]] || die "--jobs: '$jobs' is not a number above 0"
}

# only_path RESULT: with --print-path, print where RESULT is or would be, and end with
# whether it is there.
only_path() {
    $print_path || return 0
    printf '%s\n' "$1"
    [[ -d $1 ]]
    exit
}

# cache_option ARGUMENT...: of a script that knows --cache DIR only.
cache_option() {
    while (($#)); do
        case $1 in
        --cache) cache=${2:?--cache needs a value}; shift ;;
        *) die "unknown option '$1'" ;;
        esac
        shift
    done
}

# open_root NAME: $root, the folder of that name in the cache, and $log there. From here on
# $cache does not depend on the folder that one is in.
open_root() {
    mkdir -p "$cache"
    cache=$(cd "$cache" && pwd)
    readonly root=$cache/$1
    mkdir -p "$root"
    log=$root/log
}

# lock: one build at a time in $root; its $log is empty then.
lock() {
    exec 9>"$root/lock"
    if ! flock -n 9; then
        step "waiting for another build"
        flock 9
    fi
    : >"$log"
}

# reuse FILE RESULT: if FILE has been built, print RESULT and end; unless $force.
reuse() {
    if [[ -e $1 ]] && ! $force; then
        step "cached: $2"
        printf '%s\n' "$2"
        exit 0
    fi
}

# publish TMP RESULT: let RESULT be the folder TMP, at once.
publish() {
    chmod 755 "$1"
    # A process that runs from the old one keeps its files.
    [[ ! -e $2 ]] || mv -T "$2" "$1/replaced"
    mv -T "$1" "$2"
    rm -rf "$2/replaced"
}

# hash_of TEXT: 16 hexadecimal digits.
hash_of() { sha256sum <<<"$1" | cut -c1-16; }

# newest_package NAMES: the newest package that apt knows and whose whole name matches this
# extended regular expression; nothing if there is none.
newest_package() {
    apt-cache pkgnames 2>/dev/null | { grep -Ex "$1" || true; } | sort -V | tail -n1
}

# unpack_packages PACKAGE...: download them, and unpack them into $tmp/tree, where $tmp is a
# new folder in $root that goes when the script ends.
unpack_packages() {
    local package
    step "fetching $*"
    tmp=$(mktemp -d "$root/publish.XXXXXX")
    cleanup+=("$tmp")
    mkdir "$tmp/debs" "$tmp/tree"
    cd "$tmp/debs" || exit
    logged "apt-get download" apt-get -q -o APT::Sandbox::User="$(id -un)" download "$@"
    for package in ./*.deb; do
        logged "unpacking $package" dpkg-deb -x "$package" "$tmp/tree"
    done
    cd "$root" || exit
}

# debian_files NAMES FILE...: in $folder, where FILEs of a Debian package are, which is
# unpacked below $root, not installed. NAMES is an extended regular expression; the package
# is the newest that apt knows and whose whole name matches, or without apt's lists the
# newest that was unpacked before. A FILE is a path in the package, with wildcards, and
# the name that it gets, separated by a colon.
debian_files() {
    local names=$1 package tmp file
    shift
    package=$(newest_package "$names")
    if [[ -z $package ]]; then
        package=$(find "$root" -mindepth 1 -maxdepth 1 -type d -printf '%f\n' |
            { grep -Ex "$names" || true; } | sort -V | tail -n1)
        [[ $package ]] || die "apt knows no package $names; run apt-get update"
    fi
    folder=$root/$package
    if [[ ! -d $folder ]]; then
        lock
    fi
    # Another one may have fetched it while this one waited.
    if [[ ! -d $folder ]]; then
        unpack_packages "$package"
        mkdir "$tmp/out"
        for file in "$@"; do
            # The wildcards of the path are meant.
            # shellcheck disable=SC2086
            cp "$tmp/tree"/${file%%:*} "$tmp/out/${file#*:}"
        done
        publish "$tmp/out" "$folder"
    fi
}
