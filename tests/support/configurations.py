# SPDX-License-Identifier: GPL-2.0-or-later
"""The machines that tests of QEMU run in, by names that their results have.

A class says which: @pytest.mark.machines("tcg-xapic", long=["kvm-xapic"]), where the
keyword is a label that those have. A test of it that is about some of them only has
@pytest.mark.only or @pytest.mark.without, with patterns of names: "kvm-*".

What runs where QEMU takes the doorbell of a guest of KVM runs once more where the host's
KVM does, with vmm/linux-kvm: kvm-xapic-decided is that of kvm-xapic.
"""
import dataclasses
import fnmatch

import pytest

OBJECT = "ipi-defer,id=d0,isolated-cpus=2-3,idle=on"
DOORBELL = ",doorbell=on,icr=off"
DECIDED = "-decided"
# The host's, without an MSR that some nested KVMs offer, and then refuse to set.
HOST_CPU = "host,-arch-capabilities"
X2APIC = ("-cpu", "qemu64,+x2apic")


@dataclasses.dataclass(frozen=True)
class Configuration:
    """An accelerator, a mode of the local APICs, and how a test's IPIs are sent."""

    name: str
    accelerator: str = "tcg,thread=multi"
    x2apic: bool = False
    # By the ICR, the doorbell, or the doorbell with each destination as a multicast.
    way: str = "icr"
    # More properties of the ipi-defer object, and more options.
    properties: str = ""
    more: tuple = ()
    # The host's KVM decides, not QEMU.
    decided: bool = False

    @property
    def kvm(self):
        return self.accelerator.startswith("kvm")

    @property
    def base(self):
        """The name of the same machine where QEMU decides."""
        return self.name.removesuffix(DECIDED)

    def options(self, properties=""):
        """Of a QEMU with CPUs 2 and 3 isolated."""
        return ("-object", f"{OBJECT}{self.properties}{properties}", *self.more)

    def named(self, name, folder, properties=""):
        """The same of a VM that has a segment in this folder."""
        return ("-name", f"guest={name}",
                *self.options(f",segment=on,segment-dir={folder}{properties}"))


QEMU_DECIDES, KVM_DECIDES = ",in-kernel=off", ",in-kernel=on"
# Under KVM with its in-kernel local APIC the doorbell is what the guest is offered.
ALL = (
    Configuration("tcg-xapic"),
    Configuration("tcg-x2apic", x2apic=True, more=X2APIC),
    # All vCPUs in one thread.
    Configuration("tcg-single", "tcg,thread=single"),
    # And with a clock that counts instructions.
    Configuration("tcg-icount", "tcg,thread=single", more=("-icount", "shift=3")),
    # The doorbell, with the ICR out of sight.
    Configuration("doorbell", way="doorbell", properties=DOORBELL),
    Configuration("multicast", way="multicast", properties=DOORBELL),
    Configuration("kvm-xapic", "kvm", way="doorbell", properties=QEMU_DECIDES),
    Configuration("kvm-x2apic", "kvm", x2apic=True, way="doorbell",
                  properties=QEMU_DECIDES, more=X2APIC),
    # With a PIC and an I/O APIC in userspace.
    Configuration("kvm-split-xapic", "kvm,kernel-irqchip=split", way="doorbell",
                  properties=QEMU_DECIDES),
    Configuration("kvm-split-x2apic", "kvm,kernel-irqchip=split", x2apic=True,
                  way="doorbell", properties=QEMU_DECIDES, more=X2APIC),
    # KVM looks at the ICR too, where neither AVIC nor IPI virtualization is on.
    Configuration("kvm-icr-xapic", "kvm", properties=f"{KVM_DECIDES},icr=on", decided=True),
    Configuration("kvm-icr-x2apic", "kvm", x2apic=True, decided=True,
                  properties=f"{KVM_DECIDES},icr=on", more=X2APIC),
    # With QEMU's own local APICs, so that the ICR is intercepted: xAPIC only.
    Configuration("kvm-off", "kvm,kernel-irqchip=off"),
    # The doorbell where it is not needed.
    Configuration("kvm-off-doorbell", "kvm,kernel-irqchip=off", way="doorbell",
                  properties=DOORBELL),
)
BY_NAME = {configuration.name: configuration for configuration in ALL}
BY_NAME.update({
    name + DECIDED: dataclasses.replace(
        configuration, name=name + DECIDED, decided=True,
        properties=configuration.properties.replace(QEMU_DECIDES, KVM_DECIDES))
    for name, configuration in BY_NAME.items()
    if configuration.properties == QEMU_DECIDES})
# Where no class asks for another.
DEFAULT = ALL[0]


def matches(name, patterns):
    """Whether a configuration, or its base, has a name that matches one of these."""
    return any(fnmatch.fnmatchcase(either, pattern)
               for either in (name, BY_NAME[name].base) for pattern in patterns)


def applies(name, definition):
    """Whether a test is to run in a configuration of its class, by its marks."""
    return (all(matches(name, mark.args) for mark in definition.iter_markers("only")) and
            not any(matches(name, mark.args)
                    for mark in definition.iter_markers("without")))


def parametrize(metafunc, tcg=(), kvm=("kvm",)):
    """Give a test the configurations that its marks ask for.

    @param tcg: and kvm, labels of those with this accelerator
    """
    mark = metafunc.definition.get_closest_marker("machines")
    if mark is None:
        return
    wanted = [(name, []) for name in mark.args]
    for label in mark.kwargs:
        wanted += [(name, [label]) for name in mark.kwargs[label]]
    parameters = []
    wanted += [(name + DECIDED, []) for name, _ in wanted if name + DECIDED in BY_NAME]
    for name, more in wanted:
        labels = [*(kvm if BY_NAME[name].kvm else tcg), *more]
        if BY_NAME[name].decided:
            labels += ["decided", "soak"]
        marks = [getattr(pytest.mark, label) for label in labels]
        if applies(name, metafunc.definition):
            parameters.append(pytest.param(name, id=name, marks=marks))
    if not parameters:
        raise pytest.UsageError(f"{metafunc.definition.nodeid} runs in no configuration")
    metafunc.parametrize("configuration", parameters, indirect=True, scope="class")
