#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Build Debian's own packages of QEMU 10.0 with the ipi-defer series. See --help.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
what='package-qemu'
# shellcheck source=build-lib.sh
. "$here/build-lib.sh"
readonly SERIES=10.0
patches=$repo/vmm/qemu/patches
force=false print_path=false source_only=false dsc='' jobs=$(nproc)

usage() {
    cat <<EOF
Usage: package-qemu.sh [OPTION]...
Build Debian 13's source package of QEMU with the series of vmm/qemu in debian/patches:
the same features and packages as the distribution's, under a version that is newer than
the distribution's and older than its next. Progress goes to standard error; the folder of
the packages to standard output.

It needs the source package's build dependencies, and libipidefer-dev (package.sh,
repo.sh). All of QEMU's targets are compiled: that takes hours. One that was interrupted
goes on where it was.

  --source-only   the source package only, which needs no build dependency
  --print-path    build nothing, print where the packages are or would be; status 1 if
                  they have not been built
  --force         build even if it has been done
  --source DSC    take this source package (default: the newest $SERIES.x that apt knows)
  --cache DIR     keep results here (default: \$IPIDEFER_CACHE or ~/.cache/ipidefer)
  --jobs N        compile N files at a time (default: $jobs)
EOF
}

parse_options --source-only:source_only:true --print-path:print_path:true --force:force:true \
    --source=dsc --cache=cache --jobs=jobs -- "$@"
check_jobs
command -v dpkg-source >/dev/null || die "dpkg-source is missing: apt-get install dpkg-dev"
open_root package-qemu

# Sets: version (with epoch).
find_version() {
    if [[ $dsc ]]; then
        [[ -r $dsc ]] || die "--source: cannot read '$dsc'"
        dsc=$(realpath "$dsc")
        version=$(sed -n 's/^Version: *//p' "$dsc" | head -n1)
    else
        version=$(apt-cache showsrc qemu 2>/dev/null | sed -n 's/^Version: *//p' |
            { grep -E "^([0-9]+:)?${SERIES//./\\.}\\." || true; } | sort -V | tail -n1)
        [[ $version ]] || die "apt knows no source of QEMU $SERIES.x: it needs a deb-src entry
for trixie, or --source DSC"
    fi
    [[ ${version#*:} == "$SERIES".* ]] ||
        die "the source package has version '$version', the series is for $SERIES.x"
}

version=
find_version
ours=$version+ipidefer$(dpkg-parsechangelog -l "$repo/debian/changelog" -S Version)
fingerprint() {
    printf 'source only %s\nversion %s\n' "$source_only" "$ours"
    fingerprint_series "$patches"
    sha256sum <"${BASH_SOURCE[0]}"
}
hash=$(hash_of "$(fingerprint)")
result=$root/$hash
only_path "$result"
reuse "$result" "$result"
lock
reuse "$result" "$result"

# add_series TREE: our series in the tree's debian/patches, and what it needs.
add_series() {
    local name options=debian/control
    cd "$1"
    while read -r name; do
        install -D -m 644 "$patches/$name" "debian/patches/ipidefer/$name"
        printf 'ipidefer/%s\n' "$name" >>debian/patches/series
    done < <(series "$patches")
    # Debian's packaging takes configure's options from comments in this list.
    grep -q '^# --enable-linux-aio' "$options" || die "debian/control of $version is another"
    sed -i '/^# --enable-linux-aio/i # --enable-ipi-defer\tamd64\n libipidefer-dev\t[amd64],' \
        "$options" debian/control-in
    {
        printf 'qemu (%s) UNRELEASED; urgency=medium\n\n' "$ours"
        printf '  * With the ipi-defer series of ipidefer.\n\n'
        printf ' -- %s  %s\n\n' "$(sed -n 's/^Maintainer: //p' "$repo/debian/control")" \
            "$(dpkg-parsechangelog -l "$repo/debian/changelog" -S Date)"
        cat debian/changelog
    } >debian/changelog.new
    mv debian/changelog.new debian/changelog
}

work=$root/work-$hash
if [[ ! -e $work/prepared ]]; then
    rm -rf "$work"
    mkdir "$work"
    cd "$work"
    if [[ -z $dsc ]]; then
        step "fetching the source of $version"
        logged "fetching the source (apt-get source)" apt-get -q \
            -o APT::Sandbox::User="$(id -un)" source --download-only "qemu=$version"
        dsc=$(find "$work" -maxdepth 1 -name '*.dsc')
    else
        # What a source package consists of lies beside it.
        cp "${dsc%/*}"/"$(sed -n 's/^Source: *//p' "$dsc" | head -n1)"_* .
    fi
    step "applying the series to $version"
    logged "unpacking the source" dpkg-source --no-check -x "$dsc" tree
    (add_series "$work/tree")
    cd "$work/tree"
    logged "applying the series" dpkg-source --before-build .
    logged "building the source package" dpkg-source --build .
    touch "$work/prepared"
fi
cd "$work/tree"
step "the source package of $ours is ready"
if ! $source_only; then
    if ! missing=$(dpkg-checkbuilddeps 2>&1); then
        die "$missing
On Debian 13, with a deb-src entry for trixie and the repository of repo.sh:
  apt-get build-dep qemu
  apt-get install libipidefer-dev"
    fi
    step "compiling all targets of QEMU, with $jobs jobs, for hours; log: $log"
    last=$(cat "$root/seconds" 2>/dev/null || true)
    [[ -z $last ]] || step "the last time it took $((last / 60)) minutes"
    began=$SECONDS
    if [[ -d /usr/lib/ccache ]]; then
        export PATH=/usr/lib/ccache:$PATH CCACHE_BASEDIR=$work CCACHE_NOHASHDIR=1
    fi
    DEB_BUILD_OPTIONS="nocheck parallel=$jobs" \
        logged "dpkg-buildpackage" dpkg-buildpackage --no-sign --build=any --no-pre-clean
    echo $((SECONDS - began)) >"$root/seconds"
fi
cd "$root"
mkdir "$work/result"
find "$work" -maxdepth 1 -type f ! -name prepared \
    \( -name "*${ours#*:}*" -o -name '*.orig*' \) -exec mv -t "$work/result" {} +
publish "$work/result" "$result"
rm -rf "$work"
step "built: $result"
printf '%s\n' "$result"
