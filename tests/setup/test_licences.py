# SPDX-License-Identifier: GPL-2.0-or-later
"""Each source file names its licence, each licence that is named has its text, and
each text is of a licence that is named."""
import re

import pytest

from tests.support import sources
from tests.support.requirements import ROOT

pytestmark = pytest.mark.unit
# Prose, data, patches (they have their files' own), and what cannot have a comment.
NO_SOURCE = re.compile(r"\.(md|txt|patch|json|svg|png|in|xml|cast|scd|config|ini|dict|ltl)$|"
                       r"^LICENSE|^LICENSES/|(^|/)(series|rooms|\.git[a-z]*)$|"
                       r"^\.clang-(format|tidy)$|/corpus/|^debian/(changelog|copyright|"
                       r"source/.*|.*\.(docs|install|symbols|examples|"
                       r"lintian-overrides|README\.Debian))$|"
                       r"^debian/not-installed$")
SOURCE = re.compile(r"CMakeLists\.txt$")
TAG = "SPDX-License-Identifier:"
ADDED = re.compile(rf"^\+.*{TAG}.*", re.MULTILINE)


def identifiers(line):
    """@return those of an expression; the kernel's "GPL-2.0" is GPL-2.0-only"""
    expression = line.rpartition(TAG)[2].partition("*/")[0]
    words = re.sub(r"[()]", "", expression).split()
    return {"GPL-2.0-only" if word == "GPL-2.0" else word
            for word in words if word not in ("WITH", "OR", "AND")}


def complaints(root, names):
    """@return what is wrong, one sentence each"""
    wrong, named = [], set()
    for name in names:
        path = root / name
        if not path.is_file() or name.startswith("LICENSES/"):
            continue
        if SOURCE.search(name) or not NO_SOURCE.search(name):
            lines = path.read_text(encoding="utf-8", errors="replace").split("\n")[:5]
            line = next((line for line in lines if TAG in line), None)
            if line is None:
                wrong.append(f"{name}: names no licence")
                continue
            named |= identifiers(line)
        elif name.endswith(".patch"):
            text = path.read_text(encoding="utf-8", errors="replace")
            for line in ADDED.findall(text):
                named |= identifiers(re.sub(r'"[^"]*"', "", line))
    if not named:
        wrong.append("no file names a licence")
    licence = (root / "LICENSE").read_text()
    for identifier in sorted(named):
        text = root / "LICENSES" / f"{identifier}.txt"
        if not text.is_file() or text.stat().st_size == 0:
            wrong.append(f"LICENSES/{identifier}.txt is missing")
        if identifier not in licence:
            wrong.append(f"LICENSE does not mention {identifier}")
    for text in sorted((root / "LICENSES").iterdir()):
        if text.name.removesuffix(".txt") not in named:
            wrong.append(f"LICENSES/{text.name}: no file names it")
    return wrong


def test_every_file_names_a_licence_that_is_here():
    names = sources.files()
    assert len(names) > 500
    assert complaints(ROOT, names) == []


def test_offenders_are_named(tmp_path):
    (tmp_path / "LICENSES").mkdir()
    # In two pieces, or this would be the line of a licence itself.
    tag = TAG[:4] + TAG[4:]
    for name, text in (("a.c", f"/* {tag} (MIT OR GPL-2.0) */\n"), ("b.py", "import os\n"),
                       ("c.patch", f"+// {tag} BSD-2-Clause\n"), ("d.txt", ""),
                       ("LICENSE", "MIT, GPL-2.0-only"), ("LICENSES/MIT.txt", "text"),
                       ("LICENSES/GPL-2.0-only.txt", ""), ("LICENSES/ISC.txt", "text")):
        (tmp_path / name).write_text(text)
    assert complaints(tmp_path, ["a.c", "b.py", "c.patch", "d.txt", "gone.c"]) == [
        "b.py: names no licence",
        "LICENSES/BSD-2-Clause.txt is missing",
        "LICENSE does not mention BSD-2-Clause",
        "LICENSES/GPL-2.0-only.txt is missing",
        "LICENSES/ISC.txt: no file names it"]
