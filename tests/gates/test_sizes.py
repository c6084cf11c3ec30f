# SPDX-License-Identifier: GPL-2.0-or-later
"""A file holds one concept, and that is rarely long.

A file that is better whole says so within its first 15 lines: "Long, since ...".
"""
import re

import pytest

from tests.support import sources
from tests.support.requirements import ROOT

pytestmark = pytest.mark.unit
CODE = (".c", ".cpp", ".h", ".hpp", ".S", ".py", ".sh")
MAX_PRODUCT, MAX_TESTS, HEAD = 500, 600, 15
EXCUSE = re.compile(r"Long, since ")


def is_test(name):
    return (name.startswith("tests/") or "/tests/" in name or
            re.search(r"_(test|testing|fuzz)\.[ch]pp$", name) is not None)


def too_long(root, names):
    """@return sentences that name file, length and limit"""
    wrong = []
    for name in names:
        lines = sources.text_of(name, root).splitlines()
        limit = MAX_TESTS if is_test(name) else MAX_PRODUCT
        if len(lines) > limit and not EXCUSE.search("\n".join(lines[:HEAD])):
            wrong.append(f"{name} has {len(lines)} lines, of at most {limit}")
    return wrong


class TestSizes:
    def test_no_file_is_too_long(self):
        names = [name for name in sources.files() if name.endswith(CODE)]
        assert len(names) > 400
        assert too_long(ROOT, names) == []

    def test_offenders_are_named(self, tmp_path):
        for name, head, count in (("a.cpp", "", 501), ("b.cpp", "", 500),
                                  ("a_test.cpp", "", 601), ("b_test.cpp", "", 600),
                                  ("c.cpp", "// Long, since tables are.", 900)):
            (tmp_path / name).write_text("\n".join([head] + [""] * (count - 1)) + "\n")
        assert too_long(tmp_path, sorted(p.name for p in tmp_path.iterdir())) == [
            "a.cpp has 501 lines, of at most 500",
            "a_test.cpp has 601 lines, of at most 600"]
