# SPDX-License-Identifier: GPL-2.0-or-later
"""The include graph is the one that the file `rooms` draws.

An #include "..." is a path from the root of the repository, so that no two headers
can be taken for each other, and goes to a room that the including one may use. What
lies in a room's src is for that room only. The libraries' public headers,
<ipidefer/...>, belong to the room that has them.
"""
import re

import pytest

from tests.support.requirements import ROOT
from tests.support.rooms import ROOMS, read_rooms, room_of

pytestmark = pytest.mark.unit
# Made by CMake from the file of this name with .in.
GENERATED = {"base/version.hpp": "base/version.hpp.in",
             "base/revision.hpp": "base/revision.hpp.in"}
PUBLIC = ("vmm/abi", "vmm/core/include/ipidefer", "vmm/shm/include/ipidefer")
INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<(ipidefer/[^>]+)>)', re.M)
SOURCE = re.compile(r"\.(c|cpp|h|hpp|S|hpp\.in)$")


def public_header(root, name):
    for folder in PUBLIC:
        path = f"{folder}/{name.removeprefix('ipidefer/')}"
        if (root / path).is_file():
            return path
    return None


def complaints(root, files, rooms):
    """@return what is wrong, one sentence each, and how many includes were seen"""
    wrong, seen, used = [], 0, set()
    for user in rooms.values():
        wrong += [f"rooms: there is no room {r}" for r in user - rooms.keys()]
    for file in files:
        own = room_of(file, rooms)
        if own is None and not file.startswith("tests/"):
            wrong.append(f"{file} is in no room")
        text = (root / file).read_text(encoding="utf-8")
        for quoted, public in INCLUDE.findall(text):
            seen += 1
            name = quoted or public
            path = quoted or public_header(root, public)
            if (path is None or ".." in path.split("/") or
                    not (root / GENERATED.get(path, path)).is_file()):
                wrong.append(f"{file}: '{name}' is not a path from the root")
                continue
            other = room_of(path, rooms)
            if own is None or own == other:
                continue
            used.add((own, other))
            if other is None or other not in rooms[own]:
                wrong.append(f"{file}: {own} may not use '{path}'")
            elif path.startswith(f"{other}/src/"):
                wrong.append(f"{file}: '{path}' is for {other} only")
    wrong += [f"rooms: no file of {room} uses {other}"
              for room in sorted(rooms) for other in sorted(rooms[room] & rooms.keys())
              if (room, other) not in used]
    return wrong, seen


def cycle(rooms):
    """@return rooms that use each other in a circle; empty when there are none"""
    left = dict(rooms)
    while True:
        free = [room for room, used in left.items() if not used & left.keys()]
        if not free:
            return sorted(left)
        for room in free:
            del left[room]


class TestIncludes:
    def test_graph_is_the_one_that_is_drawn(self):
        files = [path.relative_to(ROOT).as_posix()
                 for top in ("base", "experiments", "guests", "host", "tests", "vmm")
                 for path in (ROOT / top).rglob("*") if SOURCE.search(path.name)]
        rooms = read_rooms(ROOMS.read_text())
        for room in rooms:
            assert (ROOT / room).is_dir(), f"rooms: {room} is no folder"
        wrong, seen = complaints(ROOT, files, rooms)
        assert wrong == []
        assert seen > 500

    def test_nobody_uses_a_guest(self):
        for room, used in read_rooms(ROOMS.read_text()).items():
            assert room.startswith("guests/") or not any(
                name.startswith("guests") for name in used)

    def test_there_is_no_circle(self):
        assert cycle(read_rooms(ROOMS.read_text())) == []
        assert cycle({"a": {"b"}, "b": {"a"}, "c": {"a"}}) == ["a", "b", "c"]

    def test_architecture_names_every_room(self):
        text = (ROOT / "docs/ARCHITECTURE.md").read_text()
        for room in read_rooms(ROOMS.read_text()):
            assert f"`{room}`" in text


@pytest.fixture
def complain(tmp_path):
    """@return what is complained of one file, among a few others"""
    def plant(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def complaints_of(name, text):
        plant(name, text)
        # Another file uses what is drawn.
        plant("high/drawn.cpp", '#include "low/a.hpp"\n')
        wrong, seen = complaints(tmp_path, [name, "high/drawn.cpp"],
                                 read_rooms("low\nhigh  low\n"))
        assert seen == 2
        return wrong
    for name in "low/a.hpp", "low/src/b.hpp", "high/c.hpp", "nobody/d.hpp":
        plant(name, "")
    return complaints_of


class TestOffenders:
    """Each rule refuses what breaks it."""

    def test_arrow_that_is_drawn_is_taken(self, complain):
        assert complain("high/x.cpp", '#include "low/a.hpp"\n') == []
        assert complain("low/x.cpp", '#include "low/src/b.hpp"\n') == []

    def test_arrow_upwards(self, complain):
        assert (complain("low/x.cpp", '#include "high/c.hpp"\n')
                == ["low/x.cpp: low may not use 'high/c.hpp'"])

    def test_folder_that_is_no_room(self, complain):
        assert (complain("low/x.cpp", '# include "nobody/d.hpp"\n')
                == ["low/x.cpp: low may not use 'nobody/d.hpp'"])

    def test_path_from_elsewhere(self, complain):
        for name in "a.hpp", "c.hpp", "../low/a.hpp":
            assert (complain("high/x.cpp", f'#include "{name}"\n')
                    == [f"high/x.cpp: '{name}' is not a path from the root"])

    def test_arrow_that_nobody_uses(self, tmp_path):
        wrong, _ = complaints(tmp_path, [], read_rooms("low\nhigh  low\n"))
        assert wrong == ["rooms: no file of high uses low"]

    def test_what_is_for_one_room_only(self, complain):
        assert (complain("high/x.cpp", '#include "low/src/b.hpp"\n')
                == ["high/x.cpp: 'low/src/b.hpp' is for low only"])
