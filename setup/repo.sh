#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A local apt repository of all packages that were built here. See --help.
#
# It is not signed: a key that lies beside what it signs proves nothing. Its entry for apt
# says "Trusted: yes", for a folder of this machine that nobody but its owner may change;
# whoever serves it to other machines signs its Release file with a key of their own.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
what=repo
# shellcheck source=build-lib.sh
. "$here/build-lib.sh"
out='' folders=() install=false

usage() {
    cat <<EOF
Usage: repo.sh [OPTION]... [FOLDER]...
Make an apt repository of the packages of this repository, which are built if they have
not been, and of those that package-qemu.sh, package-kernel.sh and package-kvm-dkms.sh
have built; or of the packages in FOLDERs only. Prints the entry for apt's sources.

  --out DIR     the repository's folder (default: apt in the cache)
  --install     also write the entry to /etc/apt/sources.list.d/ipidefer.sources,
                and have apt read it; as root
  --cache DIR   where packages are built (default: \$IPIDEFER_CACHE or
                ~/.cache/ipidefer)
EOF
}

while (($#)); do
    case $1 in
    --install) install=true ;;
    --out | --cache)
        (($# > 1)) || die "$1 needs a value"
        case $1 in
        --out) out=$2 ;;
        --cache) cache=$2 ;;
        esac
        shift ;;
    --help | -h) usage; exit 0 ;;
    -*) usage >&2; die "unknown option '$1'" ;;
    *) [[ -d $1 ]] || die "'$1' is no folder"
        folders+=("$(cd "$1" && pwd)") ;;
    esac
    shift
done
command -v apt-ftparchive >/dev/null ||
    die "apt-ftparchive is missing: apt-get install apt-utils"
! $install || ((EUID == 0)) || die "--install: only root may change apt's sources"
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
if ((${#folders[@]} == 0)); then
    folders=("$("$here/package.sh" --cache "$cache")")
    for script in package-qemu package-kernel package-kvm-dkms; do
        # Those take long: only what is there.
        if [[ -x $here/$script.sh ]] &&
            built=$("$here/$script.sh" --cache "$cache" --print-path 2>/dev/null); then
            folders+=("$built")
        fi
    done
fi
out=$(realpath -m "${out:-$cache/apt}")
[[ $out =~ ^[A-Za-z0-9/._+~-]+$ ]] ||
    die "--out: '$out' has characters that apt's sources cannot have"
# What is there is replaced.
[[ ! -e $out || -e $out/Release ]] || die "--out: '$out' is there, and no repository"

mkdir -p "${out%/*}"
new=$(mktemp -d "$out.XXXXXX")
cleanup+=("$new")
count=0
for folder in "${folders[@]}"; do
    while IFS= read -r -d '' file; do
        cp -l "$file" "$new/" 2>/dev/null || cp "$file" "$new/"
        count=$((count + 1))
    done < <(find "$folder" -maxdepth 1 \( -name '*.deb' -o -name '*.dsc' -o \
        -name '*.tar.*' \) -print0)
done
((count)) || die "there are no packages in ${folders[*]}"
(
    cd "$new"
    apt-ftparchive packages . >Packages
    apt-ftparchive sources . >Sources
    gzip -9nk Packages Sources
    apt-ftparchive -o APT::FTPArchive::Release::Origin=ipidefer \
        -o APT::FTPArchive::Release::Label=ipidefer release . >.Release
    mv .Release Release
    # apt reads it as a user of its own.
    chmod a+r ./*
)
publish "$new" "$out"
entry="Types: deb deb-src
URIs: file:$out
Suites: ./
Trusted: yes"
if $install; then
    printf "# Written by ipidefer's setup/repo.sh.\n%s\n" "$entry" \
        >/etc/apt/sources.list.d/ipidefer.sources
    apt-get -q update >&2
fi
step "$count files in $out"
printf '%s\n' "$entry"
