# SPDX-License-Identifier: GPL-2.0-or-later
"""What a maintainer sees first of a patch: its message.

Whether patches apply, compile and please checkpatch is for the builds to say.
"""
import re

import pytest

from tests.support import requirements

pytestmark = [pytest.mark.gate, pytest.mark.ctest(timeout=60)]
# The folders that the builds read, each with a file `series`.
FOLDERS = sorted([*requirements.ROOT.glob("guest-patches/*/patches"),
                  *requirements.ROOT.glob("vmm/*/patches")])
PATCHES = sorted(path for folder in FOLDERS for path in folder.rglob("*.patch"))
# A subject that is no longer fits a line of `git log --oneline`.
MOST_SUBJECT = 76
# What git writes into a message of its own accord, for whoever edits it.
REMARK = re.compile(r"^(# |<<<<<<<|=======$|>>>>>>>)", re.MULTILINE)


def complaints(text):
    """@return what is wrong with a patch's message"""
    head, _, _ = text.partition("\n---\n")
    headers, _, body = head.partition("\n\n")
    subject = re.search(r"^Subject: \[PATCH\] (.*(?:\n .*)*)", headers, re.MULTILINE)
    found = []
    if subject is None:
        found.append("no subject")
    elif len(subject[1].replace("\n", "")) > MOST_SUBJECT:
        found.append("a long subject")
    if REMARK.search(body):
        found.append("a remark of git's")
    if not re.search(r"^Signed-off-by: .+ <.+@.+>$", body, re.MULTILINE):
        found.append("nobody has signed it off")
    return found


def named(folder):
    """@return the patches that a series names: those that are applied"""
    lines = (line.split("#")[0].strip()
             for line in (folder / "series").read_text().splitlines())
    return [folder / line for line in lines if line]


class TestSeries:
    def test_all_are_applied(self):
        """A patch that no series names is none that anybody builds or tests."""
        assert sorted(path for folder in FOLDERS for path in named(folder)) == PATCHES


class TestPatchMessages:
    def test_patches(self):
        assert len(PATCHES) > 50
        wrong = {path.name: found for path in PATCHES
                 if (found := complaints(path.read_text(errors="replace")))}
        assert wrong == {}

    def test_offender_is_seen(self):
        text = PATCHES[0].read_text()
        assert complaints(text.replace("\nSigned-off-by:", "\n\n# Conflicts:\n#\ta.c\n"
                                       "Signed-off-by:")) == ["a remark of git's"]
        assert complaints(text.replace("Signed-off-by:", "Cc:")) == [
            "nobody has signed it off"]
