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


def options_in(text):
    return set(re.findall(r"^ +(?:-\w,)?(--[a-z][a-z0-9-]*)", text, re.MULTILINE)) - EVERYWHERE


def commands_of(program, words, without):
    """@return {words of a command: its options}, () for those of the program itself"""
    text = help_of(program, words)
    found = {(): options_in(text)}
    _, _, commands = text.partition("Subcommands:")
    for command in re.findall(r"^  ([a-z-]+) ", commands, re.MULTILINE):
        if command not in without:
            for more, options in commands_of(program, [*words, command], ()).items():
                found[(command, *more)] = options
    return found


def sections(text):
    """@return {heading: what is below it}; "" for what is ahead of all commands"""
    found = {}
    for part in re.split(r"^# ", text, flags=re.MULTILINE):
        heading, _, below = part.partition("\n")
        found[heading] = below
    return found


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
                 for options in commands_of(program, [command], ()).values()
                 for option in options}
    commands = commands_of(program, words, without)
    assert set().union(*commands.values()) - in_page(text) == set(), "not in the page"
    assert in_page(text) - set().union(*commands.values()) - of_others == set(), \
        "not in the program"
    of_section = {}
    for command, options in commands.items():
        if command:
            of_section.setdefault(command[0].upper(), set()).update(options)
    parts = sections(text)
    of_all = {option for heading, below in parts.items()
              if heading not in of_section and heading not in ("SYNOPSIS", "EXAMPLES")
              for option in in_page(below)}
    assert {heading: missing for heading, options in of_section.items()
            if (missing := options - in_page(parts[heading]) - of_all)} == {}


def test_the_labs_document_has_its_options():
    of_run = commands_of(requirements.path("IPIDEFER_CLI"), ["lab"], ())[("run",)]
    text = (ROOT / "docs/LAB.md").read_text()
    in_table = set(re.findall(r"^\| .*?`(--[a-z-]+)", text, re.MULTILINE))
    # All that are described beside the table.
    assert of_run - in_table - {"--json", "--keep-logs"} == set()


def test_an_option_that_is_missing_shows():
    """The control."""
    text = (ROOT / "host/man/ipidefer.1.scd").read_text()
    assert "--clean" in in_page(text)
    assert "--clean" not in in_page(text.replace("--clean", "--cleaner"))
