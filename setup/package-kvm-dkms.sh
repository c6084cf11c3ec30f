#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Build a package of KVM's modules with the series for hosts, which compiles them on the
# machine where it is installed, for each of its 6.12 kernels. See --help.
set -euo pipefail

what='package-kvm-dkms'
# shellcheck source=guest-patches/linux-6.12/kernel-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../guest-patches/linux-6.12/kernel-lib.sh"
# shellcheck source=vmm/linux-kvm/modules-lib.sh
. "$repo/vmm/linux-kvm/modules-lib.sh"
force=false print_path=false
readonly NAME=ipidefer-kvm

usage() {
    cat <<EOF
Usage: package-kvm-dkms.sh [OPTION]...
Build the package $NAME-dkms: KVM's source with the series of vmm/linux-kvm, for dkms,
unless that has been done. Progress goes to standard error; the folder of the package to
standard output.

Nothing is compiled here. Where the package is installed dkms compiles kvm.ko, kvm-amd.ko
and kvm-intel.ko for each kernel 6.12 whose headers are there, which takes some minutes;
they are loaded in place of the kernel's own after a reboot. They are not signed: with
Secure Boot dkms needs a key that the machine knows.

  --print-path    build nothing, print where the package is or would be; status 1 if it
                  has not been built
  --force         build even if it has been done
  --source FILE   the archive that has KVM's source (default: $source)
  --cache DIR     keep results here (default: \$IPIDEFER_CACHE or ~/.cache/ipidefer)
EOF
}

parse_options --print-path:print_path:true --force:force:true --source=source \
    --cache=cache -- "$@"
[[ -r $source ]] || die "no kernel source at '$source': apt-get install linux-source-6.12"
open_root package-kvm-dkms

fingerprint() {
    source_id
    fingerprint_series "$repo/vmm/linux-kvm/patches"
    sha256sum <"$repo/vmm/linux-kvm/modules-lib.sh"
    sha256sum <"${BASH_SOURCE[0]}"
    head -n1 "$repo/debian/changelog"
}
result=$root/$(hash_of "$(fingerprint)")
only_path "$result"
reuse "$result" "$result"
for tool in dpkg-buildpackage:dpkg-dev dh:debhelper dh_dkms:dh-dkms; do
    command -v "${tool%:*}" >/dev/null ||
        die "${tool%:*} is missing: apt-get install dpkg-dev debhelper dh-dkms"
done
lock
reuse "$result" "$result"

build=$(mktemp -d "$root/build.XXXXXX")
cleanup+=("$build")
version=$(dpkg-parsechangelog -l "$repo/debian/changelog" -S Version)
kernel=$(source_id)
package=$build/$NAME
mkdir -p "$package/source" "$package/debian/source"
step "KVM's source, of $kernel"
prepare_kvm "$package/source"
# What only documents and tests it is not compiled.
rm -r "$package/source/Documentation" "$package/source/tools"
find "$package/source" -name .gitignore -delete

# Where dkms compiles it: the variables are dkms' own.
# shellcheck disable=SC2016
tree='${dkms_tree}/${PACKAGE_NAME}/${PACKAGE_VERSION}/build'
command="'make' -C \${kernel_source_dir} -j\${parallel_jobs:-1}"
while read -r argument; do
    command+=" '$argument'"
done < <(kvm_make "$tree")
{
    printf 'PACKAGE_NAME="%s"\nPACKAGE_VERSION="#MODULE_VERSION#"\n' "$NAME"
    printf 'MAKE[0]="%s modules"\nCLEAN="true"\n' "$command"
    printf 'BUILD_EXCLUSIVE_KERNEL="^6\\.12\\."\nAUTOINSTALL="yes"\n'
    number=0
    for module in kvm kvm-amd kvm-intel; do
        printf 'BUILT_MODULE_NAME[%d]="%s"\n' $number "$module"
        printf 'BUILT_MODULE_LOCATION[%d]="arch/x86/kvm"\n' $number
        printf 'DEST_MODULE_LOCATION[%d]="/updates/dkms"\n' $number
        number=$((number + 1))
    done
} >"$package/debian/$NAME-dkms.dkms"

cd "$package"
cat >debian/control <<EOF
Source: $NAME
Section: kernel
Priority: optional
Maintainer: $(sed -n 's/^Maintainer: //p' "$repo/debian/control")
Build-Depends: debhelper-compat (= 13), dh-dkms
Standards-Version: $(sed -n 's/^Standards-Version: //p' "$repo/debian/control")
Rules-Requires-Root: no

Package: $NAME-dkms
Architecture: amd64
Depends: \${misc:Depends}
Suggests: linux-headers-amd64
Description: KVM that defers x86 IPIs, as modules for Linux 6.12
 KVM with a series that decides itself which IPIs of a guest's kernel can wait
 until an isolated vCPU next enters it. dkms compiles kvm, kvm-amd and kvm-intel
 for each kernel 6.12 of the machine, in place of the kernel's own.
EOF
cat >debian/changelog <<EOF
$NAME ($version) unstable; urgency=medium

  * KVM of $kernel,
    with the series of vmm/linux-kvm.

 -- $(sed -n 's/^Maintainer: //p' "$repo/debian/control")  $(dpkg-parsechangelog -l \
    "$repo/debian/changelog" -S Date)
EOF
cat >debian/copyright <<EOF
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: Linux
Source: Debian's package linux-source-6.12, and vmm/linux-kvm/patches of ipidefer

Files: *
Copyright: 1991-2026 the authors of Linux, as each file names them
 2026 the ipidefer maintainers
License: GPL-2.0-only

$(sed -n '/^License: GPL-2.0-only$/,/^$/p' "$repo/debian/copyright" | sed -n '/^ /p' |
    sed '1i License: GPL-2.0-only')
EOF
echo '3.0 (native)' >debian/source/format
printf '%s usr/src/%s-%s\n' 'source/*' "$NAME" "$version" >"debian/$NAME-dkms.install"
cat >debian/rules <<EOF
#!/usr/bin/make -f
%:
	dh \$@ --with dkms

override_dh_auto_configure override_dh_auto_build override_dh_auto_install:

override_dh_dkms:
	dh_dkms -V $version
EOF
chmod +x debian/rules
step "building the package"
logged "dpkg-buildpackage" dpkg-buildpackage --no-sign
cd "$root"
mkdir "$build/result"
find "$build" -maxdepth 1 -type f -exec mv -t "$build/result" {} +
publish "$build/result" "$result"
step "built: $result"
printf '%s\n' "$result"
