# SPDX-License-Identifier: GPL-2.0-or-later
"""The benchmark of KVM. Figures are for people; what must hold are the exits."""
import json
import subprocess

import pytest

from tests.support import requirements
from tests.support.vmm import DONE

# Sender and loop are pinned to host CPUs of their own.
pytestmark = [pytest.mark.kvm,
              pytest.mark.ctest(timeout=1200, processors=2, serial=True)]


def test_bench(usable_kvm, tmp_path):  # pylint: disable=unused-argument
    file = tmp_path / "bench.json"
    done = subprocess.run(
        [requirements.path("IPIDEFER_CLI"), "bench", "kvm", "--rounds", "3", "--window",
         "100", "--json", file], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, check=False)
    print(done.stdout)
    assert done.returncode == DONE, done.stdout
    report = json.loads(file.read_text())
    assert report["schema"] == "ipidefer-bench-kvm/1"
    assert len(report["rounds"]) == 3
    for one in report["rounds"]:
        assert one["deferred"]["returns"] == 0
        assert one["quiet"]["returns"] == 0
        assert one["delivered"]["returns"] > 0, "nothing is measured"
        assert one["deferred"]["sent"] > 0
        assert one["delivered"]["sent"] > 0
        assert one["deferred"]["loops"] > 0, "the loop stands still"
