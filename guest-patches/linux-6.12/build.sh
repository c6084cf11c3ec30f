#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Build the lab's guest kernel: Debian's linux-source-6.12 with the ipi_defer
# series. See README.md; --help shows the options.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repo=$(cd "$here/../.." && pwd)
what=kernel
# shellcheck source=../../setup/build-lib.sh
. "$repo/setup/build-lib.sh"

readonly PACKAGES=(gcc make flex bison bc libelf-dev libssl-dev cpio kmod patch
    xz-utils rsync linux-source-6.12)
patches=$here/patches
cache=${IPIDEFER_CACHE:-$HOME/.cache/ipidefer}
jobs=$(nproc)
force=false print_path=false
source=/usr/src/linux-source-6.12.tar.xz
fragments=() upto=

usage() {
    cat <<EOF
Usage: build.sh [OPTION]...
Build the guest kernel with the ipi_defer series, unless that has been done.
Progress goes to standard error; the path of the result, a folder with bzImage,
config, System.map and modules/, to standard output.

  --config FILE  one more config fragment; repeatable
  --upto N       apply only the first N patches
  --print-path   build nothing, print where the result is or would be;
                 status 1 if it has not been built
  --force        build even if it has been done
  --source FILE  this source archive (default: $source)
  --cache DIR    keep results here
                 (default: \$IPIDEFER_CACHE or ~/.cache/ipidefer)
  --jobs N       compile N files at a time (default: $jobs)
EOF
}

while (($#)); do
    case $1 in
    --print-path) print_path=true ;;
    --force) force=true ;;
    --cache | --source | --jobs | --config | --upto)
        (($# > 1)) || die "$1 needs a value"
        case $1 in
        --cache) cache=$2 ;;
        --source) source=$2 ;;
        --jobs) jobs=$2 ;;
        --upto) upto=$2 ;;
        --config)
            [[ -r $2 ]] || die "--config: cannot read '$2'"
            fragments+=("$(realpath "$2")") ;;
        esac
        shift ;;
    --help | -h) usage; exit 0 ;;
    *) usage >&2; die "unknown option '$1'" ;;
    esac
    shift
done
[[ $jobs =~ ^[1-9][0-9]*$ ]] || die "--jobs: '$jobs' is not a number above 0"
total=$(series "$patches" | wc -l)
[[ ${upto:=$total} =~ ^[0-9]+$ ]] && ((upto <= total)) ||
    die "--upto: '$upto' is not a number from 0 to $total"
[[ -r $source ]] ||
    die "no kernel source at '$source'
On Debian 12: apt-get install linux-source-6.12"
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
readonly root=$cache/kernel

# The package's version says what the archive holds; another archive is hashed.
source_id() {
    local owner version
    owner=$(dpkg-query -S "$source" 2>/dev/null | cut -d: -f1 || true)
    if [[ $owner ]]; then
        version=$(dpkg-query -W -f '${Version}' "$owner")
        printf '%s %s' "$owner" "$version"
    else
        printf 'sha256 %s' "$(sha256sum <"$source" | cut -d' ' -f1)"
    fi
}

# Everything that can change the result, one line each.
fingerprint() {
    printf 'source %s\n' "$id"
    printf 'compiler %s %s\n' "$(gcc -dumpmachine)" "$(gcc -dumpfullversion)"
    fingerprint_series "$patches" | head -n "$upto"
    cat "$here/config/lab.config" ${fragments[@]+"${fragments[@]}"} |
        sha256sum | sed 's/^/config /'
}

check_tools() {
    local missing=() tool
    for tool in gcc make flex bison bc cpio depmod patch xz flock; do
        command -v "$tool" >/dev/null || missing+=("$tool")
    done
    [[ -e /usr/include/libelf.h ]] || missing+=(libelf.h)
    [[ -e /usr/include/openssl/ssl.h ]] || missing+=(openssl/ssl.h)
    ((${#missing[@]} == 0)) ||
        die "missing: ${missing[*]}
On Debian 12: apt-get install ${PACKAGES[*]}"
}

# tinyconfig, then our fragments; an option that did not survive is an error.
configure() {
    local fragment line option wrong=()
    logged "make tinyconfig" "${make[@]}" tinyconfig
    logged "merging the config" ./scripts/kconfig/merge_config.sh -m .config \
        "$here/config/lab.config" ${fragments[@]+"${fragments[@]}"}
    logged "make olddefconfig" "${make[@]}" olddefconfig
    # A later fragment may take back what an earlier one says, and a config
    # for fewer patches lacks the options of the others.
    for fragment in "$here/config/lab.config" ${fragments[@]+"${fragments[@]}"}; do
        while read -r line; do
            case $line in
            CONFIG_*=*) option=${line%%=*} ;;
            '# CONFIG_'*' is not set') option=${line#\# }; option=${option% is not set} ;;
            *) continue ;;
            esac
            if ((${#fragments[@]})) && [[ $fragment != "${fragments[-1]}" ]]; then
                continue
            fi
            if [[ $option == CONFIG_IPI_DEFER* ]] && ((upto < total)); then
                continue
            fi
            case $line in
            CONFIG_*) grep -qxF -- "$line" .config || wrong+=("$line") ;;
            *) ! grep -q "^$option=" .config || wrong+=("$line") ;;
            esac
        done <"$fragment"
    done
    ((${#wrong[@]} == 0)) ||
        die "the kernel's configuration does not keep: ${wrong[*]}"
}

id=$(source_id)
prints=$(fingerprint)
hash=$(hash_of "$prints")
result=$root/$hash
readonly result

if $print_path; then
    printf '%s\n' "$result"
    [[ -e $result/bzImage ]]
    exit
fi
mkdir -p "$root/log"
log=$root/log/$hash.log
reuse "$result/bzImage" "$result"
check_tools
lock
# Another build may have made it while this one waited.
reuse "$result/bzImage" "$result"

: >"$log"
# Always in the same place: ccache likes that.
readonly work=$root/work
rm -rf "$work"
mkdir "$work"
cleanup+=("$work")
step "$id, log: $log"
logged "unpacking $source" tar -C "$work" --strip-components=1 -xf "$source"
if ((upto)); then
    mkdir "$work/.series"
    series "$patches" | head -n "$upto" >"$work/.series/series"
    while read -r name; do ln -s "$patches/$name" "$work/.series/$name"; done \
        <"$work/.series/series"
    apply_series "$work/.series" "$work" "$id"
fi

cc=gcc
command -v ccache >/dev/null && cc='ccache gcc'
export KBUILD_BUILD_TIMESTAMP='2026-01-01' KBUILD_BUILD_USER=ipidefer \
    KBUILD_BUILD_HOST=lab
make=(make -C "$work" -s "CC=$cc" "HOSTCC=$cc")
cd "$work"
step "configuring"
configure
step "compiling, with $jobs jobs (minutes)"
logged "building the kernel" "${make[@]}" -j "$jobs" bzImage modules
if warnings=$(grep -iE 'warning: (objtool|.*\[-W)|: warning:' "$log"); then
    printf '%s\n' "$warnings" >&2
    step "the build printed warnings"
fi

tmp=$(mktemp -d "$root/publish.XXXXXX")
cleanup+=("$tmp")
mkdir "$tmp/modules"
cp arch/x86/boot/bzImage System.map "$tmp/"
cp .config "$tmp/config"
find . -name '*.ko' -exec cp -t "$tmp/modules" {} +
"${make[@]}" -s kernelrelease >"$tmp/release"
printf '%s\n' "$prints" >"$tmp/fingerprint"
cd "$root"
publish "$tmp" "$result"
step "done: $result"
printf '%s\n' "$result"
