# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154
#
# KVM's source with the series, such that it builds for a kernel whose headers are
# installed: for build-modules.sh, and for a package that builds it where it is
# installed. Sourced after kernel-lib.sh, and needs what that needs.

# prepare_kvm TREE: unpack KVM and what the series touches beside it from $source, and
# apply the series.
prepare_kvm() {
    local tree=$1 module=$1/arch/x86/kvm
    logged "unpacking $source" tar -C "$tree" --strip-components=1 --wildcards \
        --no-wildcards-match-slash -xf "$source" \
        '*/arch/x86/kvm' '*/virt/kvm' '*/arch/x86/include/asm/kvm*' \
        '*/arch/x86/include/uapi/asm/kvm*' '*/include/uapi/linux/kvm.h' \
        '*/Documentation/virt/kvm' '*/tools/testing/selftests/kvm'
    apply_series "$repo/vmm/linux-kvm/patches" "$tree" "$source"

    # What the series changes in headers is found ahead of the kernel's.
    mkdir -p "$tree/ahead/linux" "$tree/ahead/asm" "$tree/ahead/uapi/asm" \
        "$tree/ahead/uapi/linux"
    cp "$tree/include/uapi/linux/kvm.h" "$tree/ahead/linux/"
    cp "$tree/include/uapi/linux/kvm.h" "$tree/ahead/uapi/linux/"
    cp "$tree/arch/x86/include/asm/kvm_host.h" "$tree/arch/x86/include/uapi/asm/kvm.h" \
        "$tree/ahead/asm/"
    cp "$tree/arch/x86/include/uapi/asm/kvm.h" "$tree/ahead/uapi/asm/"

    # Kbuild looks for KVM's parts below the kernel's source, where headers have none.
    # The make variables are meant to be in the file.
    # shellcheck disable=SC2016
    sed -i -e 's|-I \$(srctree)/arch/x86/kvm|-I $(src) -I $(src)/..|' \
        -e 's|\$(srctree)/virt/kvm/Makefile.kvm|$(src)/../../../virt/kvm/Makefile.kvm|' \
        "$module/Makefile"
}

# kvm_make TREE: what make is told beside the kernel's folder, one argument a line.
# MODPOST sees that other modules want symbols whose structures differ: they need this
# one's headers. BTF would need pahole, which the headers do not.
kvm_make() {
    printf '%s\n' "M=$1/arch/x86/kvm" "NOSTDINC_FLAGS=-nostdinc -I$1/ahead" \
        CONFIG_KVM_IPI_DEFER=y KCFLAGS=-DCONFIG_KVM_IPI_DEFER=1 \
        CONFIG_DEBUG_INFO_BTF_MODULES=
}
