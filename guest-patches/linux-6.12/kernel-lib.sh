# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154
#
# What build.sh and tests/check-series.sh have in common: a kernel's tree, and
# its configuration. Sourced after setup/build-lib.sh, and needs what that needs.

source=/usr/src/linux-source-6.12.tar.xz

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
    make=(make -C "$work" -s "CC=$cc" "HOSTCC=$cc")
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
