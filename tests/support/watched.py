# SPDX-License-Identifier: GPL-2.0-or-later
"""A VM that a test looks at from outside, while it runs."""
from tests.support.machine import wait_until

NAME = "web1"


class Watched:
    """The VM "web1", whose segment is in the tool's folder."""

    def __init__(self, tool, isolated):
        self.tool, self.isolated = tool, isolated

    def has_segment(self):
        return any(name.startswith(f"ipidefer.{NAME}~") for name in self.tool.files())

    def count(self, prefix):
        """Verdicts whose name starts so, of the isolated vCPUs."""
        return sum(n for (vcpu, _, verdict), n in self.tool.counts(NAME).items()
                   if vcpu in self.isolated and verdict.startswith(prefix))

    def suppressed(self):
        return self.count("deferred") + self.count("coalesced")

    @staticmethod
    def wait_until(what, done):
        """For far longer than anything takes, also where a guest in the box boots beside
        other work: that alone took two minutes."""
        wait_until(what, done, timeout=300)

    def wait_until_it_defers(self, least=0):
        """Starts, and boots; until more IPIs than that are deferred."""
        self.wait_until("the VM appears", self.has_segment)
        self.wait_until("it defers", lambda: self.suppressed() > least)
