#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Build the lab's kernel: Debian's linux-source-6.12 with the ipi_defer series, for
# guests, and that of vmm/linux-kvm, for hosts: it is both in the box. See README.md;
# --help shows the options.
set -euo pipefail

what=kernel
# shellcheck source=kernel-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/kernel-lib.sh"
# shellcheck source=setup/packages.sh
. "$repo/setup/packages.sh"

patches=$series_dir/patches
jobs=$(nproc)
force=false print_path=false
host_patches=$series_dir/../../vmm/linux-kvm/patches
base=lab fragments=() upto='' host_upto=''

usage() {
    cat <<EOF
Usage: build.sh [OPTION]...
Build the lab's kernel, with the ipi_defer series for guests and the one for hosts,
unless that has been done.
Progress goes to standard error; the path of the result, a folder with bzImage,
config, System.map and modules/, to standard output.

  --base NAME    the configuration to start from, config/NAME.config
                 (default: lab)
  --config FILE  one more config fragment; repeatable
  --upto N       apply only the first N patches for guests, and none for hosts
  --host-upto N  apply only the first N patches for hosts (vmm/linux-kvm)
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
    --cache | --source | --jobs | --base | --config | --upto | \
        --host-upto)
        (($# > 1)) || die "$1 needs a value"
        case $1 in
        --cache) cache=$2 ;;
        --source) source=$2 ;;
        --jobs) jobs=$2 ;;
        --upto) upto=$2 ;;
        --host-upto) host_upto=$2 ;;
        --base)
            [[ -r $series_dir/config/$2.config ]] || die "--base: no config/$2.config"
            base=$2 ;;
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
if ! [[ ${upto:=$total} =~ ^(0|[1-9][0-9]*)$ ]] || ((upto > total)); then
    die "--upto: '$upto' is not a number from 0 to $total"
fi
host_total=$(series "$host_patches" | wc -l)
# Configurations without KVM do without what is about it.
if ((upto < total)) || ! grep -q '^CONFIG_KVM=' "$series_dir/config/$base.config"; then
    : "${host_upto:=0}"
fi
if ! [[ ${host_upto:=$host_total} =~ ^(0|[1-9][0-9]*)$ ]] || ((host_upto > host_total)); then
    die "--host-upto: '$host_upto' is not a number from 0 to $host_total"
fi
[[ -r $source ]] ||
    die "no kernel source at '$source'
On Debian 12: apt-get install linux-source-6.12"
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
readonly root=$cache/kernel

# Everything that can change the result, one line each.
fingerprint() {
    printf 'source %s\n' "$id"
    printf 'compiler %s %s\n' "$(gcc -dumpmachine)" "$(gcc -dumpfullversion)"
    printf 'make %s\n' "${MAKE_VARIABLES[*]}"
    fingerprint_series "$patches" | head -n "$upto"
    fingerprint_series "$host_patches" | head -n "$host_upto"
    cat "$series_dir/config/$base.config" ${fragments[@]+"${fragments[@]}"} |
        sha256sum | sed 's/^/config /'
    cat "$series_dir"/modules/* | sha256sum | sed 's/^/modules /'
}

check_tools() {
    local missing=() tool
    for tool in gcc make flex bison bc cpio depmod modinfo patch rsync xz flock; do
        command -v "$tool" >/dev/null || missing+=("$tool")
    done
    [[ -e /usr/include/libelf.h ]] || missing+=(libelf.h)
    [[ -e /usr/include/openssl/ssl.h ]] || missing+=(openssl/ssl.h)
    ((${#missing[@]} == 0)) ||
        die "missing: ${missing[*]}
$(install_hint "${PACKAGES_KERNEL[@]}")"
}

# A fragment may take back what an earlier one says, so only what the last one
# says must survive; and a config for fewer patches lacks the options of others.
configure() {
    local all=("$series_dir/config/$base.config" ${fragments[@]+"${fragments[@]}"}) wrong
    merge_configs "${all[@]}"
    wrong=$(lost "${all[-1]}")
    if ((upto < total)); then wrong=$(sed '/^\(# \)\?CONFIG_IPI_DEFER/d' <<<"$wrong"); fi
    if ((host_upto < host_total)); then
        wrong=$(sed '/^CONFIG_KVM_IPI_DEFER=/d' <<<"$wrong")
    fi
    [[ -z $wrong ]] ||
        die "the kernel's configuration does not keep: ${wrong//$'\n'/, }"
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
step "$id, log: $log"
unpack
apply_series "$patches" "$work" "$id" "$upto"
apply_series "$host_patches" "$work" "$id" "$host_upto"

cd "$work"
step "configuring"
configure
step "compiling, with $jobs jobs (minutes)"
logged "building the kernel" "${make[@]}" -j "$jobs" bzImage modules
# Modules of our own, where the kernel has what they are about. They are built in a
# copy, since kbuild leaves its files beside the sources.
if grep -qx CONFIG_LIVEPATCH=y .config; then
    cp -r "$series_dir/modules" lab-modules
    logged "building our modules" "${make[@]}" -j "$jobs" M=lab-modules modules
fi
if warnings=$(grep -iE 'warning: (objtool|.*\[-W)|: warning:' "$log"); then
    printf '%s\n' "$warnings" >&2
    step "the build printed warnings"
fi

tmp=$(mktemp -d "$root/publish.XXXXXX")
cleanup+=("$tmp")
mkdir "$tmp/modules"
# The kernel's own test of what the host's series adds, for hosts whose libc is another.
if [[ -e $work/tools/testing/selftests/kvm/x86_64/ipi_defer_test.c ]]; then
    logged "installing headers" "${make[@]}" headers_install "INSTALL_HDR_PATH=$work/usr"
    logged "building the selftest" "${make[@]}" -C "$work/tools/testing/selftests/kvm" \
        "OUTPUT=$work/selftests" "LINUX_HDR_PATH=$work/usr/include/" \
        USERLDFLAGS=-static "$work/selftests/x86_64/ipi_defer_test"
    cp "$work/selftests/x86_64/ipi_defer_test" "$tmp/"
fi
cp arch/x86/boot/bzImage System.map "$tmp/"
cp .config "$tmp/config"
find . -name '*.ko' -exec cp -t "$tmp/modules" {} +
"${make[@]}" -s kernelrelease >"$tmp/release"
modules=("$tmp"/modules/*.ko)
[[ -e ${modules[0]} ]] || modules=()
if differ=$(releases_differ "$(<"$tmp/release")" "$tmp/bzImage" vmlinux \
    ${modules[@]+"${modules[@]}"}); then
    die "not all that was built is of one release; nothing is kept:
$differ"
fi
printf '%s\n' "$prints" >"$tmp/fingerprint"
cd "$root"
publish "$tmp" "$result"
step "done: $result"
printf '%s\n' "$result"
