# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154
#
# What build.sh and the scripts in tests have in common: a kernel's tree, and
# its configuration. Sourced in place of setup/build-lib.sh, and needs what that needs.

series_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=setup/build-lib.sh
. "$series_dir/../../setup/build-lib.sh"

source=/usr/src/linux-source-6.12.tar.xz

# What make is told beside the compiler; as it goes into the result, callers that keep
# results keep it with them. LOCALVERSION is set, but empty: without it a kernel whose
# tree is, or lies in, a git repository is another release, with a plus sign.
readonly MAKE_VARIABLES=(LOCALVERSION= KBUILD_BUILD_TIMESTAMP=2026-01-01
    KBUILD_BUILD_USER=ipidefer KBUILD_BUILD_HOST=lab)

# need_source: a test that has no source ends, skipped.
need_source() {
    [[ ! -r $source ]] || return 0
    echo "skipped: no $source (Debian package linux-source-6.12)"
    exit 77
}

# The package's version says what the archive holds; another archive is hashed.
source_id() {
    local owner version
    owner=$(dpkg-query -S "$source" 2>/dev/null | cut -d: -f1 || true)
    if [[ $owner ]]; then
        version=$(dpkg-query -W -f '${Version}' "$owner")
        printf '%s %s\n' "$owner" "$version"
    else
        printf 'sha256 %s\n' "$(sha256sum <"$source" | cut -d' ' -f1)"
    fi
}

# unpack: the source in $work, to be removed on the way out, and in $make how to
# run make there.
unpack() {
    local cc=gcc
    # Always in the same place: ccache likes that.
    readonly work=$root/work
    rm -rf "$work"
    mkdir "$work"
    cleanup+=("$work")
    logged "unpacking $source" tar -C "$work" --strip-components=1 -xf "$source"
    if command -v ccache >/dev/null; then cc='ccache gcc'; fi
    # A miss then costs one run of the preprocessor less.
    export CCACHE_DEPEND=1
    # Objects of another release have come out of ccache: those that were made under
    # other variables are not asked for.
    export CCACHE_NAMESPACE="${MAKE_VARIABLES[*]}"
    # git's hooks, and commands that it runs, say where a repository is.
    unset "${!GIT_@}"
    make=(make -C "$work" -s "CC=$cc" "HOSTCC=$cc" "${MAKE_VARIABLES[@]}")
}

# releases_differ RELEASE BZIMAGE VMLINUX MODULE...: say which of them is not of
# RELEASE, or has a version magic that VMLINUX does not have: no kernel loads that.
# Status 1 if there is none.
releases_differ() {
    local release=$1 image=$2 kernel=$3 module at found differ=1
    shift 3
    # The setup header tells where in the setup code the release is.
    at=$(od -An -tu2 -j $((0x20e)) -N 2 "$image")
    found=$(tail -c +$((at + 0x200 + 1)) "$image" | head -c 65 | tr '\0' ' ' | cut -d' ' -f1)
    if [[ $found != "$release" ]]; then
        echo "bzImage is '$found', not '$release'"
        differ=0
    fi
    found=$(grep -aom1 'Linux version [^ ]*' "$kernel" | head -n1)
    if [[ ${found##* } != "$release" ]]; then
        echo "vmlinux is '${found##* }', not '$release'"
        differ=0
    fi
    for module; do
        found=$(modinfo -F vermagic "$module")
        # A string of its own there, not the rest of one.
        if [[ ${found%% *} != "$release" ]] ||
            ! tr '\0' '\n' <"$kernel" | grep -axF -- "$found" >/dev/null; then
            echo "${module##*/} is '$found', which vmlinux is not"
            differ=0
        fi
    done
    return $differ
}

# merge_configs FRAGMENT...: tinyconfig, then the fragments.
merge_configs() {
    logged "make tinyconfig" "${make[@]}" tinyconfig
    (cd "$work" && logged "merging the config" \
        ./scripts/kconfig/merge_config.sh -m .config "$@")
    logged "make olddefconfig" "${make[@]}" olddefconfig
}

# lost FRAGMENT: the lines of FRAGMENT that the configuration does not keep.
lost() {
    local line option
    while read -r line; do
        case $line in
        CONFIG_*=n) option=${line%=n} ;;
        '# CONFIG_'*' is not set') option=${line#\# }; option=${option% is not set} ;;
        CONFIG_*=*)
            grep -qxF -- "$line" "$work/.config" || printf '%s\n' "$line"
            continue ;;
        *) continue ;;
        esac
        ! grep -q "^$option=" "$work/.config" || printf '%s\n' "$line"
    done <"$1"
}
