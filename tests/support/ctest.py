# SPDX-License-Identifier: GPL-2.0-or-later
"""How tests that pytest collects become entries of ctest.

An entry is a class, or what a module has outside of classes, in one configuration of
its machine: qemu.Delivery.kvm-split-x2apic. The marks of its tests are its labels, and
@pytest.mark.ctest says how it is run. Nothing is listed by hand: cmake/pytest_tests.py
writes what is collected, and ctest gives the name back (--ctest NAME).
"""
import dataclasses
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
PROPERTIES = {"timeout": 300, "processors": 1, "serial": False, "each": False}


@dataclasses.dataclass
class Entry:
    """One of ctest's tests."""

    labels: frozenset
    properties: dict
    files: set = dataclasses.field(default_factory=set)
    tests: list = dataclasses.field(default_factory=list)


def words(name):
    return name.replace("_", "-")


def properties_of(item):
    """What the marks say; those nearest to the test have the last word."""
    found = dict(PROPERTIES)
    for mark in reversed(list(item.iter_markers("ctest"))):
        if unknown := mark.kwargs.keys() - PROPERTIES.keys():
            raise pytest.UsageError(f"{item.nodeid}: ctest knows no {sorted(unknown)}")
        found.update(mark.kwargs)
    if any(item.get_closest_marker(label) for label in ("kvm", "kvm_linux")):
        # Where they run in the box, all is emulated twice.
        found["timeout"] *= 3
    return found


def name_of(item):
    """@return the name of the entry that a test is part of"""
    folder = item.path.parent.relative_to(TESTS).as_posix().replace("/", ".")
    parameters = getattr(item, "callspec", None)
    if properties_of(item)["each"]:
        parts = [words(item.originalname.removeprefix("test_"))]
        if parameters:
            parts.append(parameters.id)
    else:
        parts = [item.cls.__name__.removeprefix("Test") if item.cls
                 else words(item.path.stem.removeprefix("test_"))]
        if parameters and "configuration" in parameters.params:
            parts.append(str(parameters.params["configuration"]))
    return ".".join([folder, *parts])


def labels_of(item, config):
    known = {line.split("(")[0].split(":")[0] for line in config.getini("markers")
             if line.partition(":")[2].strip().startswith("label:")}
    found = {words(mark.name) for mark in item.iter_markers() if mark.name in known}
    # What made the box stand still is mended, but not seen to be for long (docs/KVM.md);
    # and all of it takes hours.
    return frozenset(found | {"soak"} if "kvm-linux" in found else found)


def entries(items, config):
    """@return {name: Entry}, of all these tests"""
    found = {}
    for item in items:
        name, labels, properties = (name_of(item), labels_of(item, config),
                                    properties_of(item))
        entry = found.setdefault(name, Entry(labels, properties))
        if not labels or (entry.labels, entry.properties) != (labels, properties):
            raise pytest.UsageError(
                f"{item.nodeid}: labels {sorted(labels)} and {properties}, but of {name} "
                f"there is one with {sorted(entry.labels)} and {entry.properties}")
        entry.files.add(item.path.relative_to(TESTS).as_posix())
        entry.tests.append(item.nodeid)
    return found
