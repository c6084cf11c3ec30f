# SPDX-License-Identifier: GPL-2.0-or-later
"""Every test that docs/THREATS.md names is there, and every line of its tables names
one."""
import re

import pytest

from tests.support import sources
from tests.support.requirements import ROOT

pytestmark = pytest.mark.unit
# The name may be on a line of its own.
GOOGLE_TEST = re.compile(r"\bTEST(?:_F|_P)?\(\s*([A-Za-z0-9]+),\s*([A-Za-z0-9]+)\s*\)")
PYTEST = re.compile(r"^(?:class (\w+)|    def (test_\w+))", re.MULTILINE)
CTEST = re.compile(r"ipidefer_fuzz\(([a-z-]+)|NAME ([a-z.-]+)")
NAMED = re.compile(r"`([A-Za-z][A-Za-z0-9]+\.[A-Za-z_0-9]+|ipidefer-[a-z-]+)`")
# Names of that form that are something else.
ELSE = re.compile(r"\.(md|h|hpp|cpp|py|sh)$|^ipidefer-vmm$")


def known_tests(root):
    """@return the names of all tests that there are: Suite.Name, Class.test_name, and
    programs of ctest"""
    known = set()
    for name in sources.files(root):
        if not name.endswith(("_test.cpp", ".py", ".cmake", "CMakeLists.txt")):
            continue
        text = sources.text_of(name, root)
        if name.endswith(".cpp"):
            known.update(map(".".join, GOOGLE_TEST.findall(text)))
        elif name.endswith(".py"):
            suite = ""
            for found in PYTEST.finditer(text):
                suite = found[1] or suite
                if found[2]:
                    known.add(f"{suite}.{found[2]}")
        else:
            known.update(found[1] or found[2] for found in CTEST.finditer(text))
    return known


def complaints(text, known):
    """@return what is wrong with the document, one sentence each"""
    named = {name for name in NAMED.findall(text) if not ELSE.search(name)}
    wrong = [f"there is no test '{name}'" for name in sorted(named - known)]
    for line in text.splitlines():
        if line.startswith("|") and not re.match(r"\|(---| May not )", line) and \
                not re.search(r"`[A-Za-z][A-Za-z0-9]+\.[A-Za-z_0-9]+`|-fuzz`", line):
            wrong.append(f"no test in: {line}")
    return wrong


def test_document_names_tests_that_are_there():
    known = known_tests(ROOT)
    assert len(known) > 500, "hardly any test was found"
    assert complaints((ROOT / "docs/THREATS.md").read_text(), known) == []


def test_offenders_are_named():
    text = ("`docs/PAGE.md` and `ipidefer-vmm` are no tests\n"
            "| May not | Since | Shown by |\n|---|---|---|\n"
            "| crash | checked | `Suite.Name`, `TestCase.test_it`, `ipidefer-a-fuzz` |\n"
            "| hang | nothing | |\n| leak | checked | `Suite.Gone` |\n")
    assert complaints(text, {"Suite.Name", "TestCase.test_it", "ipidefer-a-fuzz"}) == [
        "there is no test 'Suite.Gone'", "no test in: | hang | nothing | |"]
