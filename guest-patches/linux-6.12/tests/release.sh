#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A kernel that was built is of one release, within a git repository too, or it is
# not kept: a kernel does not load modules of another release.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
what=release
# shellcheck source=../../../setup/build-lib.sh
. "$here/../../../setup/build-lib.sh"
# shellcheck source=../kernel-lib.sh
. "$here/../kernel-lib.sh"
for tool in git make modinfo objcopy gcc; do
    command -v "$tool" >/dev/null || { echo "skipped: no $tool"; exit 77; }
done
root=$(mktemp -d)
cleanup+=("$root")
log=$root/log
: >"$log"

# What the kernel's build asks to find out whether it is in a repository: if so, its
# release ends in a plus sign, unless LOCALVERSION is set.
mkdir "$root/source"
cat >"$root/source/Makefile" <<'EOF'
kernelrelease:
	@if [ "$${LOCALVERSION+set}" = set ]; then echo "1.2$$LOCALVERSION"; \
	elif git rev-parse --verify HEAD >/dev/null 2>&1; then echo 1.2+; \
	else echo 1.2; fi
git-variables:
	@env | grep '^GIT_' || true
EOF
tar -C "$root" -cf "$root/source.tar" source
# shellcheck disable=SC2034 # for unpack
source=$root/source.tar
# The tree lies in one, and the environment names it.
git init -q "$root"
git -C "$root" -c user.name=nobody -c user.email=nobody@example.invalid \
    commit -q --allow-empty -m empty
export GIT_DIR=$root/.git
before=$(make -s -C "$root/source" kernelrelease)
[[ $before == 1.2+ ]] || die "the control: within a repository the release is $before"
unpack
release=$("${make[@]}" kernelrelease)
[[ $release == 1.2 ]] || die "within a repository the release is $release"
seen=$("${make[@]}" git-variables)
[[ -z $seen ]] || die "make sees $seen"

# bzimage RELEASE, vmlinux RELEASE, module RELEASE: a file of that release.
bzimage() {
    head -c $((0x20e)) /dev/zero
    printf '\x10\x02'
    head -c $((0x200)) /dev/zero
    printf '%s (somebody@somewhere) #1\0' "$1"
}
vmlinux() {
    printf 'Linux version %s (somebody@somewhere)\0%s SMP mod_unload \0' "$1" "$1"
}
module() {
    printf 'vermagic=%s SMP mod_unload \0' "$1" >"$root/info"
    printf '' | gcc -c -x assembler -o "$root/empty.o" -
    objcopy --add-section .modinfo="$root/info" "$root/empty.o" "$root/some.ko"
}

# differ RELEASE BZIMAGE VMLINUX MODULE: what is said of files of these releases.
differ() {
    bzimage "$2" >"$root/bzImage"
    vmlinux "$3" >"$root/vmlinux"
    module "$4"
    releases_differ "$1" "$root/bzImage" "$root/vmlinux" "$root/some.ko"
}
# expect BZIMAGE VMLINUX MODULE SAID...: it must say all of this, and no more lines.
expect() {
    local said=0 out want
    out=$(differ 1.2 "$1" "$2" "$3") || said=$?
    shift 3
    ((said == ($# == 0))) || die "status $said, and '$out'"
    [[ $(grep -c . <<<"$out") == "$#" ]] || die "not $# lines: '$out'"
    for want; do
        grep -qxF -- "$want" <<<"$out" || die "not '$want', but '$out'"
    done
}
expect 1.2 1.2 1.2
expect 1.2+ 1.2 1.2 "bzImage is '1.2+', not '1.2'"
# The kernel without its modules, as it once was.
expect 1.2 1.2+ 1.2 "vmlinux is '1.2+', not '1.2'" \
    "some.ko is '1.2 SMP mod_unload ', which vmlinux is not"
expect 1.2 1.2 1.2+ "some.ko is '1.2+ SMP mod_unload ', which vmlinux is not"
echo "one release, whatever git says; another of image, kernel or module is seen"
