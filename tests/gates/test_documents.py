# SPDX-License-Identifier: GPL-2.0-or-later
"""What the documents refer to is there, and pictures are what their scripts draw."""
import re
import subprocess
import sys

import pytest

from tests.support import sources
from tests.support.requirements import ROOT

pytestmark = pytest.mark.unit
LINK = re.compile(r"!?\[[^]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ +(.*?)\s*$", re.MULTILINE)
ELSEWHERE = re.compile(r"^[a-z]+:")
# A path of ours in backquotes; with a folder, or it would be any word.
PATH = re.compile(r"`((?:base|cmake|docs|experiments|guest-patches|guests|host|setup|"
                  r"tests|vmm)/[A-Za-z0-9_./-]+)`")


PATCHED = re.compile(r"^\+\+\+ b/(\S+)", re.MULTILINE)


def anchor_of(heading):
    """@return what GitHub makes of a heading"""
    text = re.sub(r"[`*]|\[([^]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def anchors_of(text):
    return {anchor_of(heading) for heading in HEADING.findall(FENCE.sub("", text))}


def patched(root):
    """@return the files that the patches below a root add or change, in other trees"""
    return {path for patch in root.glob("*/**/*.patch")
            for path in PATCHED.findall(patch.read_text(errors="replace"))}


def dead(root, names):
    """@return what documents refer to and is not there, one sentence each"""
    wrong, elsewhere = [], patched(root)
    for name in names:
        text = sources.text_of(name, root)
        for target in LINK.findall(FENCE.sub("", text)):
            if ELSEWHERE.match(target):
                continue
            path, _, anchor = target.partition("#")
            file = (root / name).parent / path if path else root / name
            if not file.exists():
                wrong.append(f"{name}: there is no {target}")
            elif anchor and anchor not in anchors_of(file.read_text(encoding="utf-8")):
                wrong.append(f"{name}: {target}: there is no such heading")
        # From the root, or from the document's own folder.
        for path in {path.rstrip(".") for path in PATH.findall(text)} - elsewhere:
            if not any((start / path).exists() or list(start.glob(path + ".*"))
                       for start in (root, (root / name).parent)):
                wrong.append(f"{name}: there is no `{path}`")
    return wrong


def documents():
    return [name for name in sources.files() if name.endswith(".md")]


class TestLinks:
    def test_all_lead_somewhere(self):
        assert len(documents()) > 15
        assert dead(ROOT, documents()) == []

    def test_offenders_are_named(self, tmp_path):
        (tmp_path / "docs").mkdir()
        (tmp_path / "docs" / "b.md").write_text("# One, two\n")
        (tmp_path / "a.md").write_text(
            "[good](docs/b.md#one-two) [bad](docs/b.md#three) [gone](c.md)\n"
            "[far](https://example.org) `docs/b.md` `docs/c.md`\n")
        assert dead(tmp_path, ["a.md"]) == [
            "a.md: docs/b.md#three: there is no such heading",
            "a.md: there is no c.md",
            "a.md: there is no `docs/c.md`"]


class TestPictures:
    @pytest.mark.parametrize("script", sorted(
        path.name for path in (ROOT / "docs/pictures").glob("*.py")))
    def test_is_what_its_script_draws(self, script):
        path = ROOT / "docs/pictures" / script
        drawn = subprocess.run([sys.executable, "-B", path], capture_output=True,
                               text=True, check=True).stdout
        assert drawn == path.with_suffix(".svg").read_text(encoding="utf-8")
