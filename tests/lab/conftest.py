# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab, which boots guests one after another and looks at their time."""
import pytest

from tests.support import requirements
from tests.support.lab import Lab


@pytest.fixture
def lab(qemu, kernel, tmp_path):  # pylint: disable=unused-argument
    """Needs what the lab takes from its environment."""
    return Lab(requirements.path("IPIDEFER_CLI"), tmp_path)
