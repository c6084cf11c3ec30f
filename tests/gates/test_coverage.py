# SPDX-License-Identifier: GPL-2.0-or-later
"""Everything can be built file by file, with sanitizers, and its fast tests pass so.

How much of each room they execute is printed by setup/run-tests.py, and is no verdict.
"""
import subprocess
import sys

import pytest

from tests.support import requirements
from tests.support.requirements import ROOT

pytestmark = [pytest.mark.gate, pytest.mark.soak,
              pytest.mark.ctest(timeout=3600, processors=2)]


class TestDev:
    def test_builds_and_passes(self):
        requirements.program("gcovr")
        out = requirements.build() / "reports/coverage.txt"
        done = subprocess.run([sys.executable, ROOT / "setup/coverage.py", "--out", out],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False)
        assert done.returncode == 0, done.stdout[-20000:]
        assert "vmm/core" in out.read_text(encoding="utf-8")
