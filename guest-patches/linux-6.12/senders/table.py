# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of senders: rows that say which sites they cover, and what becomes of them.

A pattern is a path, or path:function, or path:function:callee, in each of which * stands
for anything. A site belongs to the row with the most exact pattern that covers it, so a
family may have exceptions that are rows of their own.
"""
import fnmatch
import tomllib
from typing import NamedTuple

# In this order in the document; senders.toml says what each is.
VERDICTS = ("deferred", "skipped", "must interrupt", "could wait", "cannot reach")
TEXTS = ("name", "for", "today", "why", "shown")
KEYS = frozenset([*TEXTS, "section", "verdict", "planned", "sites"])
HEADING = ("Sender", "What it is for", "Today", "Verdict, and why", "Shown by")


class Wrong(Exception):
    """The table is not one."""


class Pattern(NamedTuple):
    """A pattern of a row, in its three parts."""
    text: str
    row: str
    parts: tuple

    @classmethod
    def of(cls, text, row):
        parts = text.split(":")
        if not 1 <= len(parts) <= 3 or not all(parts):
            raise Wrong(f"row '{row}': '{text}' is not path, path:function or "
                        "path:function:callee")
        return cls(text, row, tuple(parts + ["*"] * (3 - len(parts))))

    def covers(self, site):
        return all(fnmatch.fnmatchcase(value, part) for value, part in
                   zip((site.path, site.function, site.callee), self.parts))

    def exactness(self):
        """More named parts first, then fewer characters left open."""
        return (sum("*" not in part for part in self.parts),
                sum(len(part.replace("*", "")) for part in self.parts))


class Table:
    """All rows."""

    def __init__(self, path):
        try:
            with open(path, "rb") as file:
                content = tomllib.load(file)
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise Wrong(f"{path}: {getattr(error, 'strerror', None) or error}") from error
        self.sections = content.get("section", {})
        self.rows = content.get("sender", [])
        if not self.rows:
            raise Wrong(f"{path}: there is no [[sender]]")
        self.patterns = []
        for number, row in enumerate(self.rows, 1):
            self.check(row, row.get("name", f"number {number}"))
        names = [row["name"] for row in self.rows]
        for name in names:
            if names.count(name) > 1:
                raise Wrong(f"there are two rows '{name}'")

    def check(self, row, name):
        missing = [key for key in (*TEXTS, "section", "verdict", "sites")
                   if not row.get(key)]
        if missing:
            raise Wrong(f"row '{name}' has no {', '.join(missing)}")
        if unknown := row.keys() - KEYS:
            raise Wrong(f"row '{name}': there is no such key: {', '.join(sorted(unknown))}")
        if row["section"] not in self.sections:
            raise Wrong(f"row '{name}': there is no section '{row['section']}'")
        for verdict in (row["verdict"], row.get("planned", VERDICTS[0])):
            if verdict not in VERDICTS:
                raise Wrong(f"row '{name}': '{verdict}' is no verdict, but one of "
                            f"{', '.join(VERDICTS)}")
        for key in TEXTS:
            if "|" in row[key]:
                raise Wrong(f"row '{name}': '{key}' has a |, which ends a cell")
        self.patterns += [Pattern.of(text, name) for text in row["sites"]]

    def assign(self, sites):
        """@return the Pattern that each site belongs to, or None, in their order"""
        ordered = sorted(self.patterns, key=Pattern.exactness, reverse=True)
        return [next((pattern for pattern in ordered if pattern.covers(site)), None)
                for site in sites]

    def compare(self, sites):
        """@return sites that no row covers, and patterns that have no site"""
        owners = self.assign(sites)
        new = [site for site, owner in zip(sites, owners) if owner is None]
        used = {owner for owner in owners if owner}
        return new, [pattern for pattern in self.patterns if pattern not in used]

    def markdown(self, section):
        """@return the lines of a section's table"""
        lines = ["| " + " | ".join(HEADING) + " |", "|---" * len(HEADING) + "|"]
        for row in self.rows:
            if row["section"] != section:
                continue
            verdict = f"**{row['verdict']}**"
            if "planned" in row:
                verdict += f", `planned`: {row['planned']}"
            cells = [row["name"], row["for"], row["today"], f"{verdict}. {row['why']}",
                     row["shown"]]
            lines.append("| " + " | ".join(" ".join(cell.split()) for cell in cells) + " |")
        return lines

    def document(self, text):
        """@return a document's text with this table's sections between their markers"""
        for section in self.sections:
            begin, end = f"<!-- senders: {section} -->\n", "<!-- end -->\n"
            before, found, rest = text.partition(begin)
            _, ended, after = rest.partition(end)
            if not found or not ended:
                raise Wrong(f"the document has no '{begin.strip()}' with an "
                            f"'{end.strip()}' after it")
            text = (before + begin + "\n" + "\n".join(self.markdown(section)) + "\n\n" +
                    end + after)
        return text
