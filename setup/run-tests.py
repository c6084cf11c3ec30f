#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Run the tests of a build, but not again what passed before from the same files.

The guests and the models take minutes of both cores, and give the same answer
as long as nothing that they are made of has changed. Their names are kept in
the cache when they pass, under a hash of everything that they depend on; the
next run leaves them out, and says so: they are counted apart, never as passed.
Everything else runs each time. What failed or was skipped is not kept.

Tests labelled "long" look at what the others do from more sides, and are left
out unless asked for (--all): a first run shall not take an hour. Those labelled
"soak" take so long that CI leaves them out too (--soak). What is left out is
counted, too. With --ctest nothing is left out but what ctest's own arguments say.

Exit status: ctest's.
"""

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as xml
from pathlib import Path

# By label: those that take long.
MODEL = "model"
GUESTS = frozenset(["qemu", "kvm", "kvm-linux", "nested", "libvirt", "series", "gate"])
LONG = "long"
SOAK = "soak"

# Builds, and the built programs' caches, follow from the rest.
NOT_SOURCE = frozenset([".git", "docs", "out", "__pycache__"])


def source_files(top):
    """All files below `top` but builds and prose, in a fixed order."""
    for folder, folders, files in os.walk(top):
        folders[:] = sorted(f for f in folders
                            if f not in NOT_SOURCE and not f.startswith("build"))
        for name in sorted(files):
            if not name.endswith(".md"):
                yield Path(folder, name)


def hash_files(top, digest):
    for path in source_files(top):
        # An editor's lock is a link that leads nowhere.
        digest.update(f"{path.relative_to(top)}\0{path.lstat().st_mode:o}\0".encode())
        if path.is_file():
            digest.update(hashlib.sha256(path.read_bytes()).digest())


# What tests/conftest.py and GoogleTest say of tests that had to be left out of an entry.
SKIPPED_SOMETHING = re.compile(r"^skipped: |^\[  SKIPPED \] \d+ test", re.MULTILINE)
# Bytes of a test that passed; what it skipped is in its last lines.
LONGEST_OUTPUT = 1 << 20


def output_of(*command):
    try:
        return subprocess.run(command, capture_output=True, check=False).stdout
    except OSError:
        return b""


def machine(digest):
    """What a guest's run depends on besides this repository."""
    digest.update(repr((os.uname().release, os.cpu_count(),
                        os.access("/dev/kvm", os.R_OK | os.W_OK))).encode())
    digest.update(output_of("dpkg-query", "-W"))
    for name in sorted(os.environ):
        # Their paths have the hash of what was built.
        if name.startswith("IPIDEFER_"):
            digest.update(f"{name}={os.environ[name]}\0".encode())


class Passed:
    """Names of tests, and when they passed, under one hash of their inputs."""

    def __init__(self, cache, digest):
        self._file = Path(cache, "passed", digest.hexdigest()[:32])
        try:
            self.when = json.loads(self._file.read_text())
        except (OSError, ValueError):
            self.when = {}

    def add(self, names):
        if not names:
            return
        now = time.strftime("%Y-%m-%d")
        self.when.update((name, now) for name in names)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=self._file.parent,
                                         delete=False) as out:
            json.dump(self.when, out, indent=1)
        os.replace(out.name, self._file)


def labels(test):
    for each in test.get("properties", []):
        if each["name"] == "LABELS":
            return set(each["value"])
    return set()


def results(junit):
    """Names of tests by ctest's word for what became of them; those of "run" that say that
    they skipped something are in "partly" too."""
    found = {"run": set(), "fail": set(), "notrun": set(), "partly": set()}
    if junit.exists():
        for case in xml.parse(junit).getroot().findall("testcase"):
            found.setdefault(case.get("status"), set()).add(case.get("name"))
            if SKIPPED_SOMETHING.search(case.findtext("system-out") or ""):
                found["partly"].add(case.get("name"))
    found["partly"] &= found["run"]
    return found


def run_ctest(build, *arguments):
    """@return ctest's status, and results()"""
    with tempfile.TemporaryDirectory() as scratch:
        junit = Path(scratch, "junit.xml")
        status = subprocess.run(
            ["ctest", "--output-on-failure", "--no-tests=error", "-j", str(os.cpu_count()),
             "--test-output-size-passed", str(LONGEST_OUTPUT), "--output-junit", str(junit),
             *arguments],
            cwd=build, check=False).returncode
        return status, results(junit)


def counted(found):
    """@return what there is to say of results()"""
    passed = found["run"] - found["partly"]
    return (f"{len(passed)} passed, {len(found['partly'])} in part, {len(found['fail'])} failed, "
            f"{len(found['notrun'])} were skipped")


def show_partly(found):
    if found["partly"]:
        print(f"{len(found['partly'])} passed in part, and skipped the rest: "
              f"{' '.join(sorted(found['partly']))}", flush=True)


def main():
    parser = argparse.ArgumentParser(
        description="Run the tests of a build; those of guests and models only "
        "if something has changed since they passed.")
    parser.add_argument("--build", required=True, type=Path, metavar="DIR")
    parser.add_argument("--source", required=True, type=Path, metavar="DIR")
    parser.add_argument("--cache", required=True, type=Path, metavar="DIR")
    parser.add_argument("--all", action="store_true",
                        help="also those with the label long")
    parser.add_argument("--soak", action="store_true",
                        help="also those with the label soak")
    parser.add_argument("--again", action="store_true",
                        help="whatever passed before")
    parser.add_argument("--ctest", nargs=argparse.REMAINDER, metavar="ARGUMENT",
                        help="run what these arguments of ctest say, whatever passed before")
    options = parser.parse_args()
    if options.ctest is not None:
        status, found = run_ctest(options.build, *options.ctest)
        show_partly(found)
        if any(found.values()):
            print(counted(found), flush=True)
        return status

    model = hashlib.sha256(b"model")
    hash_files(options.source / "tests/model", model)
    model.update(output_of("dpkg-query", "-W", "spin", "gcc"))
    guests = hashlib.sha256(b"guests")
    hash_files(options.source, guests)
    machine(guests)
    kept = {"model": Passed(options.cache, model),
            "guests": Passed(options.cache, guests)}

    tests = json.loads(subprocess.run(
        ["ctest", "--show-only=json-v1"], cwd=options.build, check=True,
        capture_output=True).stdout)["tests"]
    by_kind = {"model": set(), "guests": set()}
    for test in tests:
        if MODEL in labels(test):
            by_kind["model"].add(test["name"])
        elif GUESTS & labels(test):
            by_kind["guests"].add(test["name"])

    before = {}
    if not options.again:
        for kind, names in by_kind.items():
            before.update((n, kept[kind].when[n]) for n in names
                          if n in kept[kind].when)
    unwanted = ({LONG} if not options.all and not options.soak else set()) | (
        {SOAK} if not options.soak else set())
    left_out = {test["name"] for test in tests
                if unwanted & labels(test)} - before.keys()
    numbers = [str(i) for i, test in enumerate(tests, 1)
               if test["name"] not in before.keys() | left_out]
    soaks = {test["name"] for test in tests if SOAK in labels(test)}
    for names, option in (left_out - soaks, "all"), (left_out & soaks, "soak"):
        if names:
            print(f"{len(names)} of {len(tests)} tests take long, and are left out "
                  f"(./check --{option} runs them)", flush=True)
    if before:
        print(f"{len(before)} of {len(tests)} tests passed before from the same "
              f"files, on {' and '.join(sorted(set(before.values())))}, and are not "
              "run again (./check --again runs them)", flush=True)

    started = time.time()
    with tempfile.TemporaryDirectory() as scratch:
        chosen = Path(scratch, "tests")
        chosen.write_text("0,0,0," + ",".join(numbers) + "\n")
        status, found = run_ctest(options.build, "-I", str(chosen))
    for kind, names in by_kind.items():
        kept[kind].add(names & found["run"] - found["partly"])
    for report in sorted((options.build / "reports").glob("*.txt")):
        if report.stat().st_mtime >= started:
            print(f"---- {report.stem}\n{report.read_text()}", flush=True)
    show_partly(found)
    print(f"{len(tests)} tests: {counted(found)}, "
          f"{len(before)} not run again, {len(left_out)} left out", flush=True)
    return status


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
