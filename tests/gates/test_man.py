# SPDX-License-Identifier: GPL-2.0-or-later
"""The man pages name the options that the programs' --help does, and no others."""
import re
import subprocess

import pytest

from tests.support import requirements
from tests.support.requirements import ROOT

pytestmark = pytest.mark.unit
# What each program has, and no page repeats.
EVERYWHERE = {"--help", "--version"}
# The page, the program, and the commands of it that the page is about.
PAGES = {
    "host/man/ipidefer.1": ("IPIDEFER_CLI", [], ["lab"]),
    "host/man/ipideferd.8": ("IPIDEFERD", [], []),
    "experiments/man/ipidefer-lab.1": ("IPIDEFER_CLI", ["lab"], []),
    "vmm/kvm/man/ipidefer-vmm.1": ("IPIDEFER_VMM", [], []),
}


def help_of(program, words):
    return subprocess.run([program, *words, "--help"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, text=True, check=True).stdout


def options_of(program, words, without):
    """Of a program and its commands."""
    text = help_of(program, words)
    options = set(re.findall(r"^ +(?:-\w,)?(--[a-z][a-z0-9-]*)", text, re.MULTILINE))
    _, _, commands = text.partition("Subcommands:")
    for command in re.findall(r"^  ([a-z-]+) ", commands, re.MULTILINE):
        if command not in without:
            options |= options_of(program, [*words, command], ())
    return options - EVERYWHERE


def in_page(text):
    # What an example has another program do.
    text = re.sub(r"^\tvirsh [^|\n]*", "", text, flags=re.MULTILINE)
    return set(re.findall(r"(?<![\w-])(--[a-z][a-z0-9-]*)", text)) - EVERYWHERE


@pytest.mark.parametrize("page", PAGES)
def test_the_page_and_the_help_have_the_same_options(page):
    variable, words, without = PAGES[page]
    program = requirements.path(variable)
    text = (ROOT / f"{page}.scd").read_text()
    of_others = {option for command in without
                 for option in options_of(program, [command], ())}
    of_program = options_of(program, words, without)
    assert of_program - in_page(text) == set(), "not in the page"
    assert in_page(text) - of_program - of_others == set(), "not in the program"


def test_an_option_that_is_missing_shows():
    """The control."""
    text = (ROOT / "host/man/ipidefer.1.scd").read_text()
    assert "--clean" in in_page(text)
    assert "--clean" not in in_page(text.replace("--clean", "--cleaner"))
