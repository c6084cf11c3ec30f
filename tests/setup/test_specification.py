# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/SPECIFICATION.md: every command and mutation that it names is there, and every
promise of README.md and docs/ABI.md is one of its."""
import json
import os
import re
import subprocess
import tomllib

import pytest

from tests.setup.test_threats import known_tests
from tests.support import requirements, sources
from tests.support.requirements import ROOT

pytestmark = pytest.mark.unit
ROW = re.compile(r"^\| (P\d+) \| (.*?) (?<!\\)\| (.*?)(?<!\\)\| (.*?)(?<!\\)\| (\w+) \|$",
                 re.MULTILINE)
STATES = {"shown", "emulated", "pending"}
REFERENCE = re.compile(r"\bP\d+\b")
# What makes a paragraph of the contract, or of README's limits, a promise.
PROMISE = re.compile(r"#GP|\bnever\b|nothing has been sent|\bsurvives?\b|is lost\b|"
                     r"ends with|runs as it\s+would|hurts itself|\(I\d+|one version|"
                     r"Nothing is lost|nothing is lost|cannot take part|are left alone|"
                     r"interrupted as always|gives? the doorbell up")


def rows(text):
    return [(number, promise, command.strip(), broken.strip(), state)
            for number, promise, command, broken, state in ROW.findall(text)]


def paragraphs(text):
    """@return those of a document, bullets and table rows apart"""
    return [part for block in re.split(r"\n\s*\n", text)
            for part in re.split(r"\n(?=- |\| )", block)]


def all_tests():
    """@return the names that ./check -R knows, those of programs that are not built here
    too"""
    done = subprocess.run(["ctest", "--show-only=json-v1"], cwd=requirements.build(),
                          capture_output=True, text=True, check=True)
    return {test["name"] for test in json.loads(done.stdout)["tests"]} | known_tests(ROOT)


def all_labels():
    return {label for test in json.loads(subprocess.run(
        ["ctest", "--show-only=json-v1"], cwd=requirements.build(), capture_output=True,
        check=True).stdout)["tests"] for each in test.get("properties", [])
        if each["name"] == "LABELS" for label in each["value"]}


def all_mutations():
    """@return the names of all that breaks something on purpose"""
    found = {"control"}
    for name in sources.files():
        if name.endswith("mutants.toml"):
            found |= {mutant.get("name", "") for mutant in
                      tomllib.loads(sources.text_of(name))["mutant"]}
        elif name.startswith("vmm/qemu/mutants/"):
            found.add(os.path.basename(name).removesuffix(".patch"))
        elif name.startswith("guest-patches/") and name.endswith(".patch"):
            found |= {f"ipi_defer_fault={fault}" for fault in re.findall(
                r'^\+.*"([a-z_]+)"', sources.text_of(name), re.MULTILINE)}
    return found | {name for name in all_tests() if name.startswith("model.")}


def wrong_command(command, tests, labels):
    """@return why it shows nothing, or ''"""
    if found := re.fullmatch(r"\./check -R '(.+)'", command):
        pattern = re.compile(found[1].replace(r"\|", "|"))
        return "" if any(map(pattern.search, tests)) else "no test matches"
    if found := re.fullmatch(r"\./check -L (\w+)", command):
        return "" if found[1] in labels else "no test has this label"
    if found := re.fullmatch(r"ipidefer ((?:[a-z]+ )*[a-z]+)( --help)?", command):
        done = subprocess.run([requirements.path("IPIDEFER_CLI"), *found[1].split(),
                               "--help"], capture_output=True, check=False)
        return "" if done.returncode == 0 else "there is no such command"
    return "" if os.access(ROOT / command, os.X_OK) else "there is no such program"


def complaints(text, tests, labels, mutations):
    wrong, seen = [], set()
    for number, _, command, broken, state in rows(text):
        if number in seen:
            wrong.append(f"{number} is there twice")
        seen.add(number)
        if state not in STATES:
            wrong.append(f"{number}: '{state}' is no state")
        if command == broken == "" and state == "pending":
            continue
        if why := wrong_command(command.strip("`"), tests, labels):
            wrong.append(f"{number}: {command}: {why}")
        named = re.findall(r"`([^`]+)`", broken)
        wrong += [f"{number}: nothing is broken by '{name}'"
                  for name in named if name not in mutations]
        if not named:
            wrong.append(f"{number}: what breaks it?")
    lines = len(re.findall(r"^\| P\d", text, re.MULTILINE))
    if lines != len(rows(text)):
        wrong.append(f"{lines} rows, of which {len(rows(text))} can be read")
    return wrong


def without_a_number(text, numbers):
    """@return paragraphs that promise something and name no promise that there is"""
    return [" ".join(part.split())[:70] for part in paragraphs(text)
            if PROMISE.search(part) and not set(REFERENCE.findall(part)) & numbers]


def limits_of(readme):
    """@return what README says before its section about installing: what it is, and its
    limits"""
    return readme[:readme.index("\n## Install")]


@pytest.fixture(scope="module")
def specification():
    return (ROOT / "docs/SPECIFICATION.md").read_text()


class TestSpecification:
    def test_every_command_and_every_mutation_is_there(self, specification):
        if not (requirements.build() / "CTestTestfile.cmake").exists():
            pytest.skip("there is no build to ask for its tests")
        assert len(rows(specification)) > 30
        assert complaints(specification, all_tests(), all_labels(), all_mutations()) == []

    def test_every_promise_of_readme_and_abi_has_a_number(self, specification):
        numbers = {row[0] for row in rows(specification)}
        assert without_a_number((ROOT / "docs/ABI.md").read_text(), numbers) == []
        assert without_a_number(limits_of((ROOT / "README.md").read_text()), numbers) == []

    def test_every_number_that_is_named_is_there(self, specification):
        numbers = {row[0] for row in rows(specification)}
        for name in "README.md", "docs/ABI.md":
            named = set(re.findall(r"\((P\d+(?:, P\d+)*)\)", (ROOT / name).read_text()))
            assert named
            assert {one for some in named for one in some.split(", ")} <= numbers

    def test_offenders_are_named(self):
        good = "| P1 | x | `./check -R '^a\\|b'` | `control` | shown |\n"
        text = (good + good + "| P2 | x | `./check -R '^c'` | `gone` | shown |\n"
                "| P3 | x | `./check -L none` | | maybe |\n| P4 | x |\n")
        assert complaints(text, {"bb"}, {"unit"}, {"control"}) == [
            "P1 is there twice",
            "P2: `./check -R '^c'`: no test matches",
            "P2: nothing is broken by 'gone'",
            "P3: 'maybe' is no state",
            "P3: `./check -L none`: no test has this label",
            "P3: what breaks it?",
            "5 rows, of which 4 can be read"]
        assert without_a_number("It never ends (P1).\n\nIt never ends.\n\nText.", {"P1"}) \
            == ["It never ends."]
        assert without_a_number("It never ends (P9).", {"P1"}) == ["It never ends (P9)."]
