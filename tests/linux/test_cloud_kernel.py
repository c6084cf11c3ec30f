# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's unmodified cloud kernel sees no difference (I3): under the stock QEMU, the
patched one, and the patched one with the object, it prints the same to the last byte, the
times of its messages included."""
import concurrent.futures
import re
import subprocess

import pytest

from tests.support import requirements
from tests.support.configurations import HOST_CPU
from tests.support.initramfs import archive
from tests.support.linux_guest import KERNEL_TROUBLE

pytestmark = pytest.mark.ctest(timeout=900, serial=True)
INIT = """\
#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
echo "== cpuinfo"
/bin/busybox cat /proc/cpuinfo
echo "== interrupts"
/bin/busybox cat /proc/interrupts
echo "== iomem"
/bin/busybox cat /proc/iomem
echo "== pci"
for d in /sys/bus/pci/devices/*; do
    echo "$d $(/bin/busybox cat $d/vendor $d/device $d/class)"
done
echo "== end"
/bin/busybox poweroff -f
"""
# With one thread, instructions for time, a fixed clock and a fixed seed, a run is a
# function of the machine that the guest sees.
DETERMINISTIC = ("-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off", "-seed", "1",
                 "-rtc", "base=2026-01-01,clock=vm")
OBJECT = ("-object", "ipi-defer,id=defer0,isolated-cpus=1")
SECONDS = 240
TROUBLE = re.compile(f"{KERNEL_TROUBLE}|Kernel panic")


@pytest.fixture(scope="module")
def boot(tmp_path_factory):
    """boot(name, QEMU, options) is all that the kernel says until the guest's end."""
    folder = tmp_path_factory.mktemp("cloud-kernel")
    kernel = requirements.path("IPIDEFER_CLOUD_KERNEL")
    (folder / "init").write_text(INIT)
    archive(folder / "initrd", {"init": folder / "init",
                                "bin/busybox": requirements.program("busybox")})

    def boot_guest(name, qemu, *options):
        console = folder / name
        subprocess.run(
            [qemu, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
             "-L", "/usr/share/seabios", "-L", "/usr/share/qemu",
             "-serial", f"file:{console}", "-kernel", kernel, "-initrd", folder / "initrd",
             "-append", "console=ttyS0 panic=-1 nokaslr", "-smp", "2", "-m", "512", *options],
            stdin=subprocess.DEVNULL, timeout=SECONDS, check=True)
        said = console.read_text(errors="replace")
        assert re.search("^== end", said, re.MULTILINE), said[-2000:]
        assert not TROUBLE.search(said), said[-2000:]
        print(f"{name}: {len(said.splitlines())} lines")
        return said
    return boot_guest


@pytest.fixture(scope="module")
def consoles(boot, qemu, stock):
    """What it says, by machine. Two at a time, on a thread each; it does not depend on how
    fast they are."""
    machines = {"stock": (stock, "-cpu", "max"), "patched": (qemu, "-cpu", "max"),
                "with the object": (qemu, "-cpu", "max", *OBJECT),
                "another machine": (qemu, "-cpu", "max,-x2apic", *OBJECT)}
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        running = {name: pool.submit(boot, name.replace(" ", "-"), command[0],
                                     *DETERMINISTIC, *command[1:])
                   for name, command in machines.items()}
        return {name: future.result() for name, future in running.items()}


@pytest.mark.nested
@pytest.mark.parametrize("other", ["patched", "with the object"])
def test_the_same_byte_for_byte(consoles, other):
    assert consoles["stock"].splitlines() == consoles[other].splitlines()
    assert consoles["stock"] == consoles[other]


@pytest.mark.nested
def test_a_machine_that_differs_a_little_shows(consoles):
    """The control."""
    assert consoles["with the object"] != consoles["another machine"]


# What a guest sees that is not a matter of time: all of it but these.
TIMES = re.compile(r"^(cpu MHz|bogomips)\s*:.*$", re.MULTILINE)
COUNTS = re.compile(r"^(\s*\w+:)[ \d]+", re.MULTILINE)
MESSAGE = re.compile(r"^\[ *\d+\.\d+\].*\n", re.MULTILINE)


def seen(console):
    """Processors, rows of interrupts, memory map and devices."""
    _, _, text = console.replace("\r", "").partition("\n== cpuinfo\n")
    text = MESSAGE.sub("", text)
    return COUNTS.sub(r"\1 ", TIMES.sub(r"\1", text)).splitlines()


@pytest.mark.kvm_linux
@pytest.mark.soak
class TestUnderKvm:
    """Where no run is like another to the byte: what can be seen of the machine."""

    def test_the_same_machine(self, boot, qemu, stock):
        consoles = {
            name: boot(f"kvm-{name}", program, "-accel", "kvm", "-cpu", *options)
            for name, (program, *options) in {
                "stock": (stock, HOST_CPU), "patched": (qemu, HOST_CPU),
                "object": (qemu, HOST_CPU, *OBJECT),
                "another": (qemu, f"{HOST_CPU},-x2apic", *OBJECT)}.items()}
        assert len(seen(consoles["stock"])) > 50
        assert seen(consoles["patched"]) == seen(consoles["stock"])
        assert seen(consoles["object"]) == seen(consoles["stock"])
        # The control.
        assert seen(consoles["another"]) != seen(consoles["stock"])
