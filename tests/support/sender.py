# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest that sends IPIs for measurements of what they cost their sender."""
from tests.support import contract
from tests.support.contract import (ASSERT, MSR_ICR, MSR_ICR_MULTI, MSR_REGISTER, REQUEST,
                                    VECTOR, binding, msr)
from tests.support.puppet import Puppet

SENDER, FIRST_TARGET = 1, 2     # vCPUs


class Sender(Puppet):
    """vCPU 1 sends to targets with a registered word of their own."""

    # Where these and their tables are.
    word = staticmethod(contract.word)
    table = staticmethod(contract.table)

    def prepare(self, targets, x2apic):
        """@param targets: vCPUs, the first of which are FIRST_TARGET and so on"""
        self.targets, self.x2apic = targets, x2apic
        if x2apic:
            for cpu in self.threads():
                self.enable_x2apic(cpu)
        for cpu in targets:
            self.write(self.table(cpu), binding(self.word(cpu)))
            self.wrmsr(cpu, MSR_REGISTER, msr(self.table(cpu), 1))
        self.write_request(REQUEST, VECTOR, FIRST_TARGET, *range(len(targets)))

    def accept(self, value):
        """@param value: what the targets' words are from now on"""
        for cpu in self.targets:
            self.w32(self.word(cpu), value)

    def ordinary(self, vector, ipis):
        """To the first target, by the ICR."""
        target = FIRST_TARGET if self.x2apic else FIRST_TARGET << 24
        self.tell(SENDER, "spam", self.x2apic, target, ASSERT | vector, ipis, 0)

    def ring(self, ipis):
        self.tell(SENDER, "ring", MSR_ICR, FIRST_TARGET, VECTOR, ipis, 0)

    def ring_all(self, ipis):
        self.tell(SENDER, "ring", MSR_ICR_MULTI, 0, REQUEST, ipis, 0)
