#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Bring a Debian machine, 12 or 13, to where ./lab and ./check can start: packages, the
# patched QEMU, the guest kernel, the C++ build. What is there is reused.
#
# Usage: prepare.sh lab|check
# Progress goes to standard error, variables for a shell to standard output.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
what=setup
# shellcheck source=build-lib.sh
. "$here/build-lib.sh"
# shellcheck source=packages.sh
. "$here/packages.sh"

purpose=${1-}
case $purpose in
lab | check) ;;
*) die "usage: prepare.sh lab|check" ;;
esac
mkdir -p "$cache"
# One at a time: two would build in the same folder.
log=$cache/setup.log root=$cache
lock

installed() { [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }
meson_is_new() {
    local have
    have=$(dpkg-query -W -f '${Version}' meson 2>/dev/null) || return
    dpkg --compare-versions "$have" ge "$MESON_NEEDED"
}

# as_root COMMAND...: run it as root, by sudo if we are not.
as_root() {
    if ((EUID == 0)); then
        "$@"
    else
        sudo -n "$@"
    fi
}
can_be_root() { ((EUID == 0)) || sudo -n true 2>/dev/null; }

readonly SOURCES=/etc/apt/sources.list.d/ipidefer.sources
readonly PREFERENCES=/etc/apt/preferences.d/ipidefer

# stanza TYPE SUITE: of a file of sources.
stanza() {
    cat <<EOF
Types: $1
URIs: http://deb.debian.org/debian
Suites: $2
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

EOF
}

# Sources of their own, pinned below everything: nothing else moves.
write_sources() {
    step "adding what $release lacks to apt's sources, pinned low"
    {
        printf "# Written by ipidefer's setup/prepare.sh: meson, and the source of QEMU 10.\n"
        if ((${#PACKAGES_BACKPORTS[@]})); then stanza deb "$release-backports"; fi
        stanza deb-src trixie
    } | as_root tee "$SOURCES" >/dev/null
    # A system that is trixie needs no pin for it.
    [[ $release == trixie ]] || as_root tee "$PREFERENCES" >/dev/null <<'EOF'
# Written by ipidefer's setup/prepare.sh.
Package: *
Pin: release n=bookworm-backports
Pin-Priority: 50

Package: *
Pin: release n=trixie
Pin-Priority: 10
EOF
}

# grep without -q reads to the end, or pipefail would see apt-cache's SIGPIPE.
has_qemu_source() { apt-cache showsrc qemu 2>/dev/null | grep '^Version: .*:10\.0\.' >/dev/null; }

install_packages() {
    local wanted=("${PACKAGES_LAB[@]}") missing=() backports=() name
    [[ $purpose == lab ]] || wanted+=("${PACKAGES_CHECK[@]}")
    for name in "${wanted[@]}"; do
        installed "$name" || missing+=("$name")
    done
    meson_is_new || backports=("${PACKAGES_BACKPORTS[@]}")
    # A QEMU that has been built needs no source any more.
    if ((${#missing[@]} + ${#backports[@]} == 0)) &&
        { has_qemu_source || "$repo/vmm/qemu/build.sh" --print-path >/dev/null 2>&1; }; then
        return
    fi

    can_install || die "this is $(. /etc/os-release && printf %s "${PRETTY_NAME:-unknown}"), \
and packages can only be installed on $RELEASES.
Missing here, by their names there: ${missing[*]-}
(of meson, $MESON_NEEDED or later), and the source package of QEMU 10.0 for
vmm/qemu/build.sh --source. Or take a container, from this folder:
  podman run --rm -it -v '$repo:/src' -w /src debian:trixie ./$purpose"
    can_be_root || die "packages are missing, and this is neither root nor sudo. As root:
  $here/prepare.sh $purpose
or, with a deb-src entry for trixie in apt's sources:
$(install_hint "${missing[@]}")"

    if ! has_qemu_source || ((${#backports[@]})); then
        write_sources
    fi
    step "updating apt's lists"
    logged "apt-get update" as_root apt-get -q update
    if ((${#missing[@]})); then
        step "installing ${#missing[@]} packages: ${missing[*]}"
        logged "apt-get install" as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get -qy install --no-install-recommends "${missing[@]}"
    fi
    if ((${#backports[@]})); then
        step "installing from $release-backports: ${backports[*]}"
        logged "apt-get install" as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get -qy install --no-install-recommends -t "$release-backports" \
            "${backports[@]}"
    fi
    has_qemu_source || die "apt has no source of QEMU 10.0, see $SOURCES"
}

build_tools() {
    step "building ipidefer"
    cd "$repo"
    logged "configuring ipidefer" cmake --preset ci
    if [[ $purpose == check ]]; then
        logged "building ipidefer" cmake --build build/ci
    else
        logged "building ipidefer" cmake --build build/ci --target ipidefer ipidefer-lab
    fi
}

install_packages
qemu=$("$repo/vmm/qemu/build.sh" --cache "$cache")
kernel=$("$repo/guest-patches/linux-6.12/build.sh" --cache "$cache")
printf 'IPIDEFER_QEMU=%q\nIPIDEFER_KERNEL=%q\n' "$qemu" "$kernel"
if [[ $purpose == check ]]; then
    stock=$("$repo/vmm/qemu/build.sh" --cache "$cache" --stock)
    cloud=$("$here/cloud-kernel.sh" --cache "$cache")
    printf 'IPIDEFER_QEMU_STOCK=%q\nIPIDEFER_CLOUD_KERNEL=%q\n' "$stock" "$cloud"
    # One test needs it, and is skipped without.
    xen=$("$here/xen.sh" --cache "$cache") || xen=
    printf 'IPIDEFER_XEN=%q\n' "$xen"
fi
build_tools
step "ready"
