# SPDX-License-Identifier: GPL-2.0-or-later
"""The rooms of the house, as tests/layout/rooms draws them."""
from pathlib import Path

ROOMS = Path(__file__).resolve().parents[1] / "layout/rooms"


def read_rooms(text):
    """@return room -> the rooms that it may use"""
    rooms = {}
    for line in text.splitlines():
        names = line.split("#")[0].split()
        if names:
            rooms[names[0]] = set(names[1:])
    return rooms


def room_of(path, rooms):
    """@return the room with the longest name, or None"""
    return max((r for r in rooms if path.startswith(r + "/")), key=len, default=None)
