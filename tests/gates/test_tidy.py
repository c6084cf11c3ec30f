# SPDX-License-Identifier: GPL-2.0-or-later
"""clang-tidy finds nothing of what .clang-tidy states.

It reads what the build compiles, in the build's units of several files each: to parse
the libraries' headers takes most of its time. That of tests takes longer than all else.
CMake lists only what is compiled for its targets; guests, fuzz programs and programs for
guests of the tests are made by commands of their own, which ninja lists. C is not looked
at: but for the contract's headers it is all tests'.
"""
import concurrent.futures
import json
import os
import re
import subprocess

import pytest

from tests.support import requirements

pytestmark = [pytest.mark.gate, pytest.mark.ctest(timeout=3600, processors=2)]
# Of GCC; clang takes each for a mistake.
GCC_ONLY = {"-Wno-restrict", "-Wno-subobject-linkage", "-Wno-mismatched-new-delete"}
# The same sources once more.
AGAIN = ("-tsan.dir/", "-asan-ubsan.dir/", "/mutants/", "/mutant-", "/mutants_of_")


def units(commands):
    """@return the entries of compile_commands.json that are worth a look"""
    chosen = {}
    for entry in commands:
        if entry["file"].endswith((".cpp", ".cxx")) and not any(
                name in entry["file"] or name in entry["command"] for name in AGAIN):
            words = [word for word in entry["command"].split() if word not in GCC_ONLY]
            chosen.setdefault(entry["file"], {
                **entry, "command": " ".join([*words, "-Wno-unknown-warning-option"])})
    return list(chosen.values())


def made_by_commands(commands):
    """@return entries for the sources that no target of CMake's has"""
    chosen = {}
    for entry in commands:
        words = entry["command"].partition(" && ")[2].partition(" && ")[0].split()
        if not words or "++" not in words[0]:
            continue
        sources = [word for word in words if word.endswith((".cpp", ".S"))]
        # How it is compiled is GCC's matter; what clang-tidy has to know is what it says.
        flags = [word for word in words[1:] if word.startswith(("-I", "-D", "-std"))]
        for file in sources:
            if file.endswith("_fuzz.cpp") or re.search("/(guests|tests)/.*cpp$", file):
                chosen.setdefault(file, {"directory": entry["directory"], "file": file,
                                         "command": " ".join([words[0], *flags, "-c", file])})
    return list(chosen.values())


def look_at(tool, folder, file):
    """@return what the tool says of one unit, without its statistics"""
    done = subprocess.run([tool, "-p", folder, "--quiet", file], capture_output=True,
                          text=True, check=False)
    return (done.stdout or done.stderr or f"ended with {done.returncode}") \
        if done.returncode else ""


def all_complaints(folder, are_tests):
    """@return what the tool says of what the build compiles, as a text"""
    tool = requirements.program("clang-tidy-14")
    build = requirements.build()
    commands = json.loads((build / "compile_commands.json").read_text())
    listed = json.loads(subprocess.run(
        [requirements.program("ninja"), "-C", build, "-t", "compdb", "CUSTOM_COMMAND"],
        stdout=subprocess.PIPE, check=True).stdout)
    made = made_by_commands(listed)
    assert len(made) > 15
    chosen = [unit for unit in units(commands)
              if ("-test.dir/" in unit["command"]) == are_tests]
    chosen += [unit for unit in made if ("/guests/" not in unit["file"]) == are_tests]
    assert len(chosen) > 15
    (folder / "compile_commands.json").write_text(json.dumps(chosen))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return "".join(pool.map(lambda unit: look_at(tool, folder, unit["file"]), chosen))


@pytest.mark.long
class TestClangTidy:
    def test_product(self, tmp_path):
        assert all_complaints(tmp_path, are_tests=False) == ""

    def test_offender_is_seen(self, tmp_path):
        tool = requirements.program("clang-tidy-14")
        (tmp_path / ".clang-tidy").write_text(
            (requirements.ROOT / ".clang-tidy").read_text())
        file = tmp_path / "a.cpp"
        file.write_text("struct A { A(int); };\n")
        (tmp_path / "compile_commands.json").write_text(json.dumps([
            {"directory": str(tmp_path), "file": str(file),
             "command": f"c++ -std=c++20 -c {file}"}]))
        assert "google-explicit-constructor" in look_at(tool, tmp_path, file)


@pytest.mark.soak
class TestClangTidyOfTests:
    def test_tests(self, tmp_path):
        assert all_complaints(tmp_path, are_tests=True) == ""
