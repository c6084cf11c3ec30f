# SPDX-License-Identifier: GPL-2.0-or-later
"""What tests need from outside, in one place and by one rule.

What is not there is a reason to skip, in a sentence that names it. A variable that is
set to what does not exist is a mistake, and the test fails.

Variables name QEMUs, kernels and what a build has made. The caller's environment comes
first, then what CMake wrote down for the build (tests/CMakeLists.txt): that of
IPIDEFER_BUILD, or build/ci.
"""
import fcntl
import importlib
import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Whose package has a program that is looked for in PATH.
PACKAGES = {
    "chromium": "chromium", "gnuplot": "gnuplot-nox",
    "gcovr": "gcovr",
    "pyflakes3": "pyflakes3",
    "shellcheck": "shellcheck",
    "clang-tidy-14": "clang-tidy-14",
    "clang-format-14": "clang-format-14",
    "busybox": "busybox-static", "cpio": "cpio", "trace-cmd": "trace-cmd",
    "virsh": "libvirt-clients", "virt-xml-validate": "libvirt-clients",
    "unshare": "util-linux", "git": "git", "make": "make", "modinfo": "kmod",
    "objcopy": "binutils", "gcc": "gcc", "mmdebstrap": "mmdebstrap",
    "apt-ftparchive": "apt-utils", "dpkg-source": "dpkg-dev", "chromium": "chromium",
}
KVM_CAPABILITIES = {"split interrupt controllers": 121,     # KVM_CAP_SPLIT_IRQCHIP
                    "MSRs in user space": 188}      # KVM_CAP_X86_USER_SPACE_MSR
KVM_CAP_X86_IPI_DEFER = 4950
KVM_CHECK_EXTENSION = 0xae03
# Where the box (`ipidefer lab box`) finds what it is to do.
BOX_JOB = "/run/box"


def build():
    """@return the folder that CMake builds in"""
    return Path(os.environ.get("IPIDEFER_BUILD") or ROOT / "build/ci")


def read_what_was_built():
    """Into the environment, but for what it has already."""
    try:
        lines = (build() / "tests/programs.env").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        name, _, value = line.partition("=")
        if value and not os.environ.get(name):
            os.environ[name] = value


def path(name, inside=""):
    """@param inside: what must be in the folder that the variable names
    @return the path that a variable has"""
    value = os.environ.get(name, "")
    if not value:
        pytest.skip(f"{name} is not set")
    found = os.path.join(value, inside) if inside else value
    if not os.path.exists(found):
        pytest.fail(f"{name} is '{value}', and there is no '{found}'", pytrace=False)
    return found


def beside(name, suffix):
    """@return the program that is built beside another one, under its name and more"""
    found = f"{path(name)}-{suffix}"
    if not os.path.isfile(found):
        pytest.skip(f"there is no '{found}'")
    return found


def program(name):
    """@return where in PATH a program is"""
    found = shutil.which(name)
    if not found:
        pytest.skip(f"there is no {name} (Debian package {PACKAGES[name]})")
    return found


def file(name, package):
    """A file that is always in the same place."""
    if not os.path.isfile(name):
        pytest.skip(f"there is no {name} (Debian package {package})")


def module(name, package):
    """@return a Python module that is not part of Python's library"""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        return pytest.skip(f"{error} (Debian package {package})")


def host_cpus(least, why):
    """@return the CPUs that tests may run on"""
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < least:
        pytest.skip(f"of CPUs there are {len(cpus)}, not {least}: {why}")
    return cpus


def without_kvm():
    """@return why nothing can be run under KVM here, or ''"""
    try:
        with open("/dev/kvm", "rb+", buffering=0) as device:
            for what, number in KVM_CAPABILITIES.items():
                if fcntl.ioctl(device, KVM_CHECK_EXTENSION, number) <= 0:
                    return f"/dev/kvm has no {what}"
    except OSError as error:
        return f"/dev/kvm: {error.strerror}"
    return ""


def kvm_decides():
    """Whether this machine's KVM can decide typed IPIs (vmm/linux-kvm)."""
    try:
        with open("/dev/kvm", "rb+", buffering=0) as device:
            return fcntl.ioctl(device, KVM_CHECK_EXTENSION, KVM_CAP_X86_IPI_DEFER) > 0
    except OSError:
        return False


def kvm():
    """A KVM that has what doorbells are made of."""
    if why := without_kvm():
        pytest.skip(why)


def in_box(why):
    """What would change the machine that it runs on."""
    if not os.path.isdir(BOX_JOB):
        pytest.fail(f"not in the box, but {why}", pytrace=False)
