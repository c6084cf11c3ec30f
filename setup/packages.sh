# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034
#
# The Debian packages that each command needs, in one place.

# To build a kernel.
readonly PACKAGES_KERNEL=(
    linux-source-6.12 gcc make flex bison bc libelf-dev libssl-dev cpio kmod patch rsync xz-utils
)

# To build the C++ code and to run experiments.
readonly PACKAGES_LAB=(
    g++ cmake ninja-build pkg-config git
    libboost1.81-dev libcli11-dev
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
    clang-format-14 clang-tidy-14 gcovr pyflakes3 shellcheck
    spin clang trace-cmd libclang-rt-14-dev librapidcheck-dev binutils procps
    libvirt-clients libvirt-daemon libvirt-daemon-driver-qemu libxml2-utils
    python3-jsonschema python3-libvirt python3-yaml
)

# From bookworm-backports: QEMU 10 wants meson 1.5, bookworm has 1.0.
readonly PACKAGES_BACKPORTS=(meson)
readonly MESON_NEEDED=1.5.0
