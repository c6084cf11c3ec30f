#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Build the Debian packages of this repository: the source package from the files that
# git knows, and the binary packages from that. See --help.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
what=package
# shellcheck source=build-lib.sh
. "$here/build-lib.sh"
force=false source_only=false print_path=false given='' jobs=$(nproc)

usage() {
    cat <<EOF
Usage: package.sh [OPTION]...
Build ipidefer's Debian packages, unless that has been done from the same files.
Progress goes to standard error; the folder of the packages to standard output.

  --source-only   the source package only; needs dpkg-dev, and no build dependency
  --version V     give the packages this version, and not debian/changelog's
  --print-path    build nothing, print where the packages are or would be; status 1 if
                  they have not been built
  --force         build even if it has been done
  --cache DIR     keep results here (default: \$IPIDEFER_CACHE or ~/.cache/ipidefer)
  --jobs N        compile N files at a time (default: $jobs)
EOF
}

parse_options --source-only:source_only:true --print-path:print_path:true --force:force:true \
    --version=given --cache=cache --jobs=jobs -- "$@"
check_jobs
command -v dpkg-source >/dev/null || die "dpkg-source is missing: apt-get install dpkg-dev"
[[ ! $given ]] || dpkg --validate-version "$given" || die "--version: '$given' is no version"
open_root package

# What git knows, as it is in the folder; without git, as in a release, all but builds.
list_files() {
    if [[ -e $repo/.git ]]; then
        git -C "$repo" ls-files -z --cached --others --exclude-standard
    else
        (cd "$repo" && find . -path ./build -prune -o \( -type f -o -type l \) -print0)
    fi | LC_ALL=C sort -z
}

# Those that are still there: git also knows what was just removed.
present_files() {
    local name
    while IFS= read -r -d '' name; do
        [[ ! -e $repo/$name ]] || printf '%s\0' "$name"
    done < <(list_files)
}

fingerprint() {
    present_files | (cd "$repo" && xargs -0 sha256sum --)
    printf 'version %s\nsource only %s\n' "$given" "$source_only"
    # The binary packages are for the system that they are built on.
    $source_only || (. /etc/os-release && printf 'built on %s\n' "${VERSION_CODENAME-}")
}

result=$root/$(hash_of "$(fingerprint)")
only_path "$result"
reuse "$result" "$result"
lock
reuse "$result" "$result"

# Always the same folder, for ccache's sake; the lock keeps others out.
tree=$root/build/ipidefer
rm -rf "$root/build"
cleanup+=("$root/build")
mkdir -p "$tree"
present_files | tar -C "$repo" --null --no-recursion -T - -c | tar -C "$tree" -x
cd "$tree"
if [[ -e $repo/.git ]]; then
    git -C "$repo" describe --always --abbrev=12 '--exclude=*' '--dirty= with changes' \
        >debian/commit
fi
[[ ! $given ]] || sed -i "1s/(.*)/($given)/" debian/changelog
version=$(dpkg-parsechangelog -S Version)
step "building the source package of ipidefer $version"
if $source_only; then
    logged "dpkg-source" dpkg-source --build .
else
    step "building the packages, for a quarter of an hour"
    export DEB_BUILD_OPTIONS="parallel=$jobs${DEB_BUILD_OPTIONS:+ $DEB_BUILD_OPTIONS}"
    if [[ -d /usr/lib/ccache ]]; then
        export PATH=/usr/lib/ccache:$PATH CCACHE_BASEDIR=$root CCACHE_NOHASHDIR=1
    fi
    logged "dpkg-buildpackage" dpkg-buildpackage --no-sign
fi
mkdir "$root/build/result"
cp "$log" "$root/build/result/build.log"
find "$root/build" -maxdepth 1 -type f -exec mv -t "$root/build/result" {} +
publish "$root/build/result" "$result"
step "built: $result"
printf '%s\n' "$result"
