# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034
#
# The Debian packages that each command needs, and what differs between the releases of
# Debian, in one place.

# The releases of Debian that this is set up on; elsewhere what is installed is taken as
# it is.
readonly RELEASES="Debian 12 (bookworm) or 13 (trixie)"
release=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME-}")

# What differs between them.
case $release in
bookworm)
    # libboost-dev is 1.74 there.
    PACKAGES_RELEASE=(libboost1.81-dev)
    # QEMU 10 wants meson 1.5, bookworm has 1.0.
    PACKAGES_BACKPORTS=(meson)
    PACKAGES_CLANG=(clang-format-14 clang-tidy-14 libclang-rt-14-dev)
    ;;
*)
    PACKAGES_RELEASE=(libboost-dev meson)
    PACKAGES_BACKPORTS=()
    # The tests of form want version 14, and are skipped: others format differently.
    PACKAGES_CLANG=(libclang-rt-dev)
    ;;
esac
readonly PACKAGES_RELEASE PACKAGES_BACKPORTS PACKAGES_CLANG
# Whether apt may be asked to set this system up.
can_install() { [[ $release == bookworm || $release == trixie ]]; }

# install_hint PACKAGE...: how these come onto a system, for a message.
install_hint() {
    printf 'On %s: apt-get install --no-install-recommends %s' "$RELEASES" "$*"
    if ((${#PACKAGES_BACKPORTS[@]})); then
        printf '\nand, from bookworm-backports: apt-get install -t bookworm-backports %s' \
            "${PACKAGES_BACKPORTS[*]}"
    fi
}

# To build a kernel.
readonly PACKAGES_KERNEL=(
    linux-source-6.12 gcc make flex bison bc libelf-dev libssl-dev cpio kmod patch rsync xz-utils
)

# To build the C++ code and to run experiments.
readonly PACKAGES_LAB=(
    g++ cmake ninja-build pkg-config git
    libcli11-dev "${PACKAGES_RELEASE[@]}"
    nlohmann-json3-dev libarchive-dev libbenchmark-dev libfmt-dev libgtest-dev libgmock-dev
    libncurses-dev libprotozero-dev libpugixml-dev libsystemd-dev libtraceevent-dev libtracefs-dev libvirt-dev libxml2-dev prometheus-cpp-dev zlib1g-dev
    python3-pytest scdoc
    busybox-static gnuplot-nox seabios qemu-system-data ipxe-qemu
    # QEMU
    dpkg-dev python3 python3-venv libglib2.0-dev libpixman-1-dev
    libattr1-dev libfdt-dev libslirp-dev ccache
    "${PACKAGES_KERNEL[@]}"
)

# To run the tests as well.
readonly PACKAGES_CHECK=(
    gcovr pyflakes3 shellcheck "${PACKAGES_CLANG[@]}"
    spin clang trace-cmd librapidcheck-dev binutils procps
    libvirt-clients libvirt-daemon libvirt-daemon-driver-qemu libxml2-utils
    python3-jsonschema python3-libvirt python3-pil python3-yaml
    # Packages, in systems made for it, and the daemon's page.
    mmdebstrap debian-archive-keyring apt-utils chromium
)

readonly MESON_NEEDED=1.5.0
