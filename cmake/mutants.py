#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Make the mutants that a manifest names: copies of source files with one thing
broken on purpose, and the CMake code that builds each and has its test fail.

    mutants.py MANIFEST ROOT OUT

MANIFEST is a mutants.toml; all its paths are relative to the folder it is in. OUT gets
NAME/<path from ROOT> for each mutant, and mutants.cmake.

A manifest has

    libraries   what a mutant is linked with, behind the broken objects, which thereby
                replace the libraries' own

and for each [[mutant]]

    name        of the ctest entry, mutant-NAME-is-caught
    file        that is broken
    from, to    what is replaced in it; it must be there, once
    test        the source file of the test
    caught_by   Suite.Test, which must fail
    also        sources to compile against a broken header
    sanitizer   to build all of it with
    report      a regular expression of what the test must print, if it is not that
                caught_by has failed

or, for a whole program with one bug, which tests of their own run,

    program     the target, which cmake/IpideferTest.cmake makes
    sources     besides the broken file

Ends with status 1, and says which mutant and why, when one does not apply any more.
"""
import sys
import tomllib
from pathlib import Path

KEYS = {"name", "file", "from", "to", "test", "caught_by", "also", "sanitizer", "report",
        "program", "sources"}


class Wrong(Exception):
    """A mutant that cannot be made; says which and why."""


def name_of(mutant):
    """@return what it is called: its folder, its target, and in what is said of it"""
    return mutant.get("name") or mutant.get("program") or "?"


def broken(mutant, folder):
    """@return the text of the file with the mutant's change"""
    name = name_of(mutant)
    unknown = mutant.keys() - KEYS
    needed = {"file", "from", "to"} | ({"program"} if "program" in mutant else
                                       {"name", "test", "caught_by"})
    if unknown or needed - mutant.keys():
        raise Wrong(f"{name}: lacks {sorted(needed - mutant.keys())}, "
                    f"does not know {sorted(unknown)}")
    text = (folder / mutant["file"]).read_text(encoding="utf-8")
    times = text.count(mutant["from"])
    if times != 1:
        raise Wrong(f"{name}: '{mutant['from']}' is {times} times in {mutant['file']}, "
                    "not once")
    return text.replace(mutant["from"], mutant["to"])


def write(path, text):
    """Only what has changed, as what depends on it is built anew."""
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def quoted(text):
    """A CMake bracket argument: nothing in it has a meaning."""
    return f"[==[{text}]==]"


def cmake_call(mutant, libraries, folder, root, out):
    """@return the call of the function in cmake/IpideferTest.cmake"""
    path = out / name_of(mutant)
    file = (folder / mutant["file"]).relative_to(root)
    sources = lambda key: [f'"{folder / source}"' for source in mutant.get(key, [])]
    call = ["ipidefer_mutant_program" if "program" in mutant else "ipidefer_mutant",
            f"    {name_of(mutant)}",
            f'    FILE "{file}" OUT "{path}"',
            f'    LIBRARIES {" ".join(libraries)}']
    if "program" in mutant:
        call.append(f'    SOURCES {" ".join(sources("sources"))}')
    else:
        call.append(f'    TEST "{folder / mutant["test"]}"')
        call.append(f'    CAUGHT_BY {quoted(mutant["caught_by"])}')
    if "also" in mutant:
        call.append(f'    ALSO {" ".join(sources("also"))}')
    for key in "sanitizer", "report":
        if key in mutant:
            call.append(f"    {key.upper()} {quoted(mutant[key])}")
    return call[0] + "(\n" + "\n".join(call[1:]) + ")\n"


def make(manifest, root, out):
    """Write all that the manifest names."""
    with open(manifest, "rb") as file:
        content = tomllib.load(file)
    folder = manifest.parent
    calls, names = [], set()
    for mutant in content["mutant"]:
        text = broken(mutant, folder)
        name = name_of(mutant)
        if name in names:
            raise Wrong(f"{name}: there are two of this name")
        names.add(name)
        write(out / name / (folder / mutant["file"]).relative_to(root), text)
        calls.append(cmake_call(mutant, content["libraries"], folder, root, out))
    files = sorted({str(folder / m["file"]) for m in content["mutant"]} | {str(manifest)})
    depends = "".join(f'    "{file}"\n' for file in files)
    write(out / "mutants.cmake",
          "set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS\n" + depends +
          ")\n" + "".join(calls))


def main():
    if len(sys.argv) != 4:
        print(__doc__, file=sys.stderr)
        return 1
    try:
        make(*(Path(argument).resolve() for argument in sys.argv[1:]))
    except (Wrong, OSError, tomllib.TOMLDecodeError, KeyError) as error:
        print(f"mutants.py: {sys.argv[1]}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
