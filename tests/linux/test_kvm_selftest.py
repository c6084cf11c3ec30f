# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's own test of vmm/linux-kvm, which the kernel's build has made."""
import re
import subprocess

import pytest

from tests.support import requirements

pytestmark = [pytest.mark.kvm_linux, pytest.mark.decided, pytest.mark.soak,
              pytest.mark.ctest(timeout=300)]
LEAST = 16


class TestKvmSelftest:
    def test_all_hold(self):
        program = requirements.path("IPIDEFER_KERNEL", "ipi_defer_test")
        done = subprocess.run([program], stdin=subprocess.DEVNULL, text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert done.returncode == 0, done.stdout
        names = [line for line in done.stdout.splitlines()
                 if not re.match(r"Random seed|.* skipping test$", line)]
        assert len(names) == LEAST, done.stdout
        # Its parts that find something missing pass: not here, where all is there.
        assert "skipping" not in done.stdout, done.stdout
