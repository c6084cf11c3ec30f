#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Build Debian's QEMU 10.0 with the ipi-defer series, or without it.
# See README.md; --help shows the options.
set -euo pipefail

readonly SERIES=10.0
readonly SOURCE_PACKAGE=qemu

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
what=qemu
# shellcheck source=../../setup/build-lib.sh
. "$here/../../setup/build-lib.sh"
# shellcheck source=../../setup/packages.sh
. "$repo/setup/packages.sh"
patches=$here/patches
mutants=$here/mutants
jobs=$(nproc)
stock=false tsan=false each=false force=false print_path=false dsc=

usage() {
    cat <<EOF
Usage: build.sh [OPTION]...
Build qemu-system-x86_64 with the ipi-defer series, unless that has been done.
Progress goes to standard error; the path of the binary to standard output.

  --stock        build without the series
  --tsan         build with ThreadSanitizer, QEMU and libraries (slow, big)
  --each         publish nothing: build and start QEMU after each patch of the
                 series, with warnings as errors
  --print-path   build nothing, print where the binary is or would be;
                 status 1 if it has not been built
  --force        build even if it has been done
  --source DSC   use this source package (default: the newest $SERIES.x
                 that apt knows, else the newest that has been unpacked)
  --cache DIR    keep sources and results here
                 (default: \$IPIDEFER_CACHE or ~/.cache/ipidefer)
  --jobs N       compile N files at a time (default: $jobs)
EOF
}

parse_options --stock:stock:true --tsan:tsan:true --each:each:true \
    --print-path:print_path:true --force:force:true \
    --cache=cache --source=dsc --jobs=jobs -- "$@"
if $each && { $stock || $tsan || $print_path; }; then
    die "--each goes with neither --stock, --tsan nor --print-path"
fi
check_jobs
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
readonly root=$cache/qemu

# The debug information alone would take a third of the build time.
configure_flags=(--target-list=x86_64-softmmu --without-default-features
    --enable-tcg --enable-kvm --enable-fdt=system --enable-slirp
    --enable-attr --enable-virtfs --enable-plugins
    --disable-docs --disable-user --disable-tools --disable-install-blobs
    --disable-debug-info --enable-trace-backends=log
    --firmwarepath=/usr/share/qemu:/usr/share/seabios:/usr/lib/ipxe/qemu)
$stock || configure_flags+=(--enable-ipi-defer)
! $tsan || configure_flags+=(--enable-tsan)

# Sets: version (without epoch).
find_version() {
    local known=
    if [[ $dsc ]]; then
        [[ -r $dsc ]] || die "--source: cannot read '$dsc'"
        dsc=$(realpath "$dsc")
        version=$(sed -n 's/^Version: *//p' "$dsc" | head -n1)
        version=${version#*:}
        [[ $version == "$SERIES".* ]] ||
            die "--source: '$dsc' has version '$version', the series is for $SERIES.x"
        return
    fi
    if command -v apt-cache >/dev/null; then
        known=$(apt-cache showsrc "$SOURCE_PACKAGE" 2>/dev/null |
            sed -n 's/^Version: *//p' | sed 's/^[0-9]*://' |
            { grep "^${SERIES//./\\.}\\." || true; } | sort -V | tail -n1)
    fi
    if [[ -z $known ]]; then
        known=$(find "$root/src" -mindepth 1 -maxdepth 1 -name "$SERIES.*" \
            -printf '%f\n' 2>/dev/null | sort -V | tail -n1)
    fi
    [[ $known ]] || die "no source of QEMU $SERIES.x. Give one with --source, or
let apt find it: put this into /etc/apt/sources.list.d/qemu-src.sources and run
apt-get update:

Types: deb-src
URIs: http://deb.debian.org/debian
Suites: trixie
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg"
    version=$known
}

# Everything that can change the result, one line each.
fingerprint() {
    printf 'source %s\n' "$version"
    printf 'flag %s\n' "${configure_flags[@]}"
    printf 'compiler %s %s\n' "$(gcc -dumpmachine)" "$(gcc -dumpfullversion)"
    $stock && return
    fingerprint_series "$patches"
    (cd "$mutants" && sha256sum -- *.patch)
    cd "$repo"
    { find vmm/abi vmm/core/include vmm/core/src vmm/shm/include vmm/shm/src -type f \
          ! -name '*_test.cpp' ! -name '*_fuzz.cpp'
      printf '%s\n' CMakeLists.txt cmake/IpideferBuild.cmake
      find vmm/core vmm/shm -maxdepth 1 -type f ! -name '*.md' ! -name tests.cmake; } |
        LC_ALL=C sort | tr '\n' '\0' | xargs -0 sha256sum
}

check_tools() {
    local missing=() tool have
    for tool in gcc g++ cmake ninja meson python3 pkg-config flex bison patch \
        dpkg-source xz flock; do
        command -v "$tool" >/dev/null || missing+=("$tool")
    done
    for tool in glib-2.0 pixman-1 slirp; do
        pkg-config --exists "$tool" 2>/dev/null || missing+=("$tool.pc")
    done
    [[ -e /usr/include/libfdt.h ]] || missing+=(libfdt.h)
    if ((${#missing[@]})); then
        die "missing: ${missing[*]}
$(install_hint "${PACKAGES_LAB[@]}")"
    fi
    have=$(meson --version)
    [[ $(printf '%s\n' "$MESON_NEEDED" "$have" | sort -V | head -n1) == "$MESON_NEEDED" ]] ||
        die "meson $have is too old, QEMU needs $MESON_NEEDED or later
$(install_hint "${PACKAGES_RELEASE[@]}")"
}

# The pristine source, unpacked once per version.
unpack() {
    local tmp
    [[ -d $root/src/$version ]] && return
    tmp=$(mktemp -d "$root/unpack.XXXXXX")
    cleanup+=("$tmp")
    if [[ -z $dsc ]]; then
        step "fetching the source of $version"
        local full
        full=$(apt-cache showsrc "$SOURCE_PACKAGE" | sed -n 's/^Version: *//p' |
            grep -F -- "$version" | head -n1)
        [[ $full ]] || die "apt does not know the source of $version any more"
        (cd "$tmp" && logged "fetching the source (apt-get source)" \
            apt-get -q -o APT::Sandbox::User="$(id -un)" source --download-only "$SOURCE_PACKAGE=$full")
        dsc=$(find "$tmp" -name '*.dsc')
    fi
    step "unpacking $version"
    logged "unpacking the source" dpkg-source --no-check -x "$dsc" "$tmp/tree"
    mkdir -p "$root/src"
    mv -T "$tmp/tree" "$root/src/$version"
}

build_core() {
    step "building libipidefer"
    # The two libraries and no other component: what is done elsewhere in the
    # repository neither breaks nor repeats this build.
    logged "configuring libipidefer" cmake -S "$repo" -B "$work/core" -G Ninja \
        -DIPIDEFER_VMM=OFF -DIPIDEFER_HOST=OFF -DIPIDEFER_LAB=OFF \
        -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX="$work/prefix" \
        -DCMAKE_INSTALL_LIBDIR=lib -DIPIDEFER_BUILD_TESTS=OFF \
        -DIPIDEFER_SANITIZE="$($tsan && echo thread)"
    logged "building libipidefer" cmake --build "$work/core" -j "$jobs" \
        --target ipidefer-static ipidefer-shared ipidefer-shm
    logged "installing libipidefer" cmake --install "$work/core"
}

# like_patched HEADER: give the header that all objects depend on the only line that
# it would have with the series. Nothing here looks at it, and most objects are
# the same then: ccache need not even preprocess their sources.
like_patched() {
    awk '/^#(define|undef) / && $2 > "CONFIG_IPI_DEFER" && !done {
             done = 1; print "#define CONFIG_IPI_DEFER\n"
         }
         { print }' "$1" >"$1.new"
    # With its old time: ninja is to take it for what it has written.
    touch -r "$1" "$1.new"
    mv "$1.new" "$1"
}

# configure_qemu FLAG...: in a new folder $work/build.
configure_qemu() {
    local cc=gcc
    if command -v ccache >/dev/null; then
        cc='ccache gcc'
        export CCACHE_BASEDIR=$work CCACHE_NOHASHDIR=1
    fi
    step "configuring"
    rm -rf "$work/build"
    mkdir "$work/build"
    cd "$work/build"
    # /usr/bin/python3: the one Debian's meson is a module of. No prefix: QEMU
    # finds its files from where it is, and the prefix is in a header that all
    # objects depend on.
    PKG_CONFIG_PATH=$work/prefix/lib/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH} \
        logged "configuring QEMU" "$work/src/configure" \
        --python=/usr/bin/python3 --cc="$cc" "$@"
    cd "$root"
}

# compile_qemu: and start what was made.
compile_qemu() {
    local binary=$work/build/qemu-system-x86_64
    logged "building QEMU" ninja -C "$work/build" -j "$jobs" qemu-system-x86_64
    logged "starting the new QEMU" "$binary" --version
    # It is not there in a stock QEMU, nor before the patch that adds it.
    if [[ -e $work/src/hw/i386/ipi-defer.c ]]; then
        logged "finding ipi-defer in the new QEMU" "$binary" -object ipi-defer,help
    fi
}

build_qemu() {
    configure_qemu "${configure_flags[@]}"
    if $stock; then like_patched "$work/build/config-host.h"; fi
    step "compiling, with $jobs jobs (minutes)"
    compile_qemu
}

# Each patch is to build and to start by itself, for whoever bisects.
build_each() {
    local name known=false
    local -a flags=(--enable-werror)
    for name in "${configure_flags[@]}"; do
        [[ $name == --enable-ipi-defer ]] || flags+=("$name")
    done
    configure_qemu "${flags[@]}"
    step "compiling without the series, with $jobs jobs (minutes)"
    compile_qemu
    while read -r name; do
        apply_patch "$patches/$name" "$work/src" "QEMU $version"
        if ! $known && grep -q ipi_defer "$work/src/meson_options.txt"; then
            known=true
            configure_qemu "${flags[@]}" --enable-ipi-defer
        fi
        compile_qemu
        step "builds and starts with $name"
    done < <(series "$patches")
    # QEMU's own tests of what the series adds, and of what it may break.
    logged "building QEMU's tests" ninja -C "$work/build" -j "$jobs" \
        tests/qtest/ipi-defer-test tests/qtest/qmp-cmd-test
    for name in ipi-defer-test qmp-cmd-test; do
        QTEST_QEMU_BINARY="$work/build/qemu-system-x86_64 -L /usr/share/seabios -L /usr/share/qemu" \
            logged "QEMU's $name" "$work/build/tests/qtest/$name"
        step "QEMU's $name passes"
    done
    step "each patch of $(series "$patches" | wc -l) builds and starts"
}

# What tests must tell from the binary above, beside it as ...-NAME: a copy with
# one of the mutants applied. Few objects differ.
build_mutants() {
    local mutant name
    for mutant in "$mutants"/*.patch; do
        name=$(basename "$mutant" .patch)
        step "building the mutant $name"
        cp "$work/build/qemu-system-x86_64" "$work/whole"
        apply_patch "$mutant" "$work/src" "the series"
        logged "building the mutant $name" ninja -C "$work/build" -j "$jobs" \
            qemu-system-x86_64
        mv "$work/build/qemu-system-x86_64" "$work/qemu-system-x86_64-$name"
        logged "taking the mutant $name back" patch -d "$work/src" -p1 --fuzz=0 \
            --no-backup-if-mismatch --batch --reverse -i "$mutant"
        mv "$work/whole" "$work/build/qemu-system-x86_64"
    done
}

version=
find_version
prints=$(fingerprint)
hash=$(hash_of "$prints")
result=$root/$hash
binary=$result/bin/qemu-system-x86_64

if $print_path; then
    printf '%s\n' "$binary"
    [[ -x $binary ]]
    exit
fi
$each || reuse "$binary" "$binary"

check_tools
mkdir -p "$root/log"
log=$root/log/$hash.log
# One build at a time, always in the same place: ccache likes that.
lock
# Another build may have made it while this one waited.
$each || reuse "$binary" "$binary"

: >"$log"
readonly work=$root/work
rm -rf "$work"
mkdir "$work"
cleanup+=("$work")
printf '%s\n' "$prints" >"$work/fingerprint"
unpack
step "QEMU $version$($stock && echo ', unpatched'), log: $log"
cp -a --reflink=auto "$root/src/$version" "$work/src"
if $each; then
    build_core
    build_each
    exit
fi
if ! $stock; then
    apply_series "$patches" "$work/src" "QEMU $version"
    build_core
fi
build_qemu
$stock || build_mutants
tmp=$(mktemp -d "$root/publish.XXXXXX")
cleanup+=("$tmp")
mkdir "$tmp/bin" "$tmp/include"
# What a plugin of this QEMU is compiled with.
cp "$work/src/include/qemu/qemu-plugin.h" "$tmp/include"
cp "$work/build/qemu-system-x86_64" "$tmp/bin/"
$stock || cp "$work"/qemu-system-x86_64-* "$tmp/bin/"
cp "$work/fingerprint" "$tmp/"
publish "$tmp" "$result"
step "done: $binary"
printf '%s\n' "$binary"
