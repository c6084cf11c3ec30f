#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Build packages of Debian's Linux 6.12 with the series for guests and for hosts. See
# --help.
set -euo pipefail

what='package-kernel'
# shellcheck source=guest-patches/linux-6.12/kernel-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../guest-patches/linux-6.12/kernel-lib.sh"
# shellcheck source=packages.sh
. "$repo/setup/packages.sh"
force=false print_path=false small=false configure_only=false guest=true host=true
jobs=$(nproc)
readonly DEBIAN_CONFIG=/usr/src/linux-config-6.12/config.amd64_none_cloud-amd64.xz

usage() {
    cat <<EOF
Usage: package-kernel.sh [OPTION]...
Build packages of linux-source-6.12 with Debian's configuration for clouds and the series
of this repository, beside the distribution's kernels: the release ends in -ipidefer.
Progress goes to standard error; the folder of the packages to standard output.

Debian's configuration takes hours on few cores; one that was interrupted goes on where
it was. While it compiles it says how far it is.

  --small           config/vm.config, which boots a Debian disk under QEMU, in place of
                    Debian's configuration: far fewer files
  --no-guest        without the series for guests (guest-patches/linux-6.12)
  --no-host         without the series for hosts (vmm/linux-kvm)
  --configure-only  patch and configure, and say how many files there are to compile
  --print-path      build nothing, print where the packages are or would be; status 1
                    if they have not been built
  --force           build even if it has been done
  --source FILE     this source archive (default: $source)
  --cache DIR       keep results here (default: \$IPIDEFER_CACHE or ~/.cache/ipidefer)
  --jobs N          compile N files at a time (default: $jobs)
EOF
}

parse_options --small:small:true --no-guest:guest:false --no-host:host:false \
    --configure-only:configure_only:true --print-path:print_path:true --force:force:true \
    --source=source --cache=cache --jobs=jobs -- "$@"
check_jobs
$guest || $host || die "--no-guest and --no-host: that is the distribution's kernel"
[[ -r $source ]] || die "no kernel source at '$source'
$(install_hint linux-source-6.12)"
$small || [[ -r $DEBIAN_CONFIG ]] || die "no configuration at '$DEBIAN_CONFIG'
$(install_hint linux-config-6.12)"
open_root package-kernel

version=$(dpkg-parsechangelog -l "$repo/debian/changelog" -S Version)
# What our series want of a configuration that knows nothing of them.
options() {
    printf 'CONFIG_%s=y\n' NO_HZ_FULL CPU_ISOLATION RCU_EXPERT RCU_NOCB_CPU
    ! $guest || printf 'CONFIG_IPI_DEFER=y\n'
    # vm.config is for guests that are no hosts.
    { $host && ! $small; } && printf 'CONFIG_KVM_IPI_DEFER=y\n'
    # Of Debian's build: keys, and information for debuggers that takes most of the time.
    printf 'CONFIG_SYSTEM_TRUSTED_KEYS=""\nCONFIG_SYSTEM_REVOCATION_KEYS=""\n'
    printf '# CONFIG_%s is not set\n' DEBUG_INFO_DWARF5 DEBUG_INFO_BTF MODULE_SIG
    printf 'CONFIG_DEBUG_INFO_NONE=y\n'
}
fingerprint() {
    source_id
    printf 'version %s small %s guest %s host %s\n' "$version" $small $guest $host
    ! $guest || fingerprint_series "$series_dir/patches"
    ! $host || fingerprint_series "$repo/vmm/linux-kvm/patches"
    if $small; then
        sha256sum <"$series_dir/config/vm.config"
    else
        sha256sum <"$DEBIAN_CONFIG"
    fi
    options
}
hash=$(hash_of "$(fingerprint)")
result=$root/$hash
only_path "$result"
$configure_only || reuse "$result" "$result"
for tool in gcc make flex bison bc cpio depmod rsync xz patch fakeroot dh dpkg-buildpackage; do
    $configure_only || command -v "$tool" >/dev/null || die "$tool is missing
$(install_hint "${PACKAGES_KERNEL[@]}" fakeroot debhelper dpkg-dev)"
done
lock
$configure_only || reuse "$result" "$result"

# The last build's tree is kept until it is whole: it goes on there.
readonly work=$root/work-$hash/linux
make=(make -C "$work" -s KBUILD_BUILD_USER=ipidefer KBUILD_BUILD_HOST=package)
if command -v ccache >/dev/null; then make+=('CC=ccache gcc' 'HOSTCC=ccache gcc'); fi

# configure: Debian's configuration or ours, and what the series want.
configure() {
    local wanted=$work/../wanted wrong
    options >"$wanted"
    if $small; then
        merge_configs "$series_dir/config/vm.config"
        wrong=$(lost "$series_dir/config/vm.config")
        $guest || wrong=$(sed '/^CONFIG_IPI_DEFER/d' <<<"$wrong")
        [[ -z $wrong ]] || die "vm.config: the kernel does not keep ${wrong//$'\n'/, }"
    else
        xz -dc "$DEBIAN_CONFIG" >"$work/.config"
        (cd "$work" && logged "merging the configuration" \
            ./scripts/kconfig/merge_config.sh -m .config "$wanted")
        logged "make olddefconfig" "${make[@]}" olddefconfig
    fi
    wrong=$(lost "$wanted" | { grep -v TRUSTED_KEYS || true; } |
        { grep -v REVOCATION_KEYS || true; })
    [[ -z $wrong ]] || die "the kernel's configuration does not keep: ${wrong//$'\n'/, }"
    printf -- '-ipidefer\n' >"$work/localversion-ipidefer"
}

if [[ ! -e $root/work-$hash/prepared ]]; then
    rm -rf "$root"/work-*
    mkdir -p "$work"
    logged "unpacking $source" tar -C "$work" --strip-components=1 -xf "$source"
    ! $guest || apply_series "$series_dir/patches" "$work" "$(source_id)"
    ! $host || apply_series "$repo/vmm/linux-kvm/patches" "$work" "$(source_id)"
    step "configuring"
    configure
    touch "$root/work-$hash/prepared"
fi
release=$("${make[@]}" kernelrelease)
objects() { find "$work" -name '*.o' -newer "$root/work-$hash/prepared" | wc -l; }
last=$(cat "$root/objects-$small" 2>/dev/null || true)
if $configure_only; then
    step "$release is configured: $(grep -c '=y$' "$work/.config") options built in, \
$(grep -c '=m$' "$work/.config") modules"
    printf '%s\n' "$work/.config"
    exit
fi

step "compiling $release, with $jobs jobs; log: $log"
(
    while sleep 60; do
        step "$(objects) files are compiled${last:+, of some $last}"
    done
) &
watcher=$!
trap 'kill $watcher 2>/dev/null || true' EXIT
logged "building the packages" "${make[@]}" -j "$jobs" bindeb-pkg \
    "KDEB_PKGVERSION=$("${make[@]}" kernelversion)-ipidefer$version"
kill $watcher
objects >"$root/objects-$small"
mkdir "$root/work-$hash/result"
# The distribution's C library goes with the distribution's headers.
find "$root/work-$hash" -maxdepth 1 -name '*.deb' ! -name 'linux-libc-dev*' \
    ! -name '*-dbg_*' -exec mv -t "$root/work-$hash/result" {} +
publish "$root/work-$hash/result" "$result"
rm -rf "$root/work-$hash"
step "built: $result"
printf '%s\n' "$result"
