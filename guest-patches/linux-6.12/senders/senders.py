#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Find what can make another CPU act in a Linux source tree, and compare it with the
table of senders.

senders.toml is that table; docs/SENDERS.md shows it. A kernel that has a sender which the
table does not name may interrupt isolated CPUs in a way that nobody has looked at.

Exit status: 0 done, and nothing differs; 1 something differs; 2 it could not be done.
"""
import argparse
import json
import lzma
import sys
import tarfile
from pathlib import Path

sys.dont_write_bytecode = True

import table  # noqa: E402
import tree  # noqa: E402

HERE = Path(__file__).resolve().parent
DIFFERS, CANNOT = 1, 2


def list_sites(options):
    sites = tree.sites(options.tree)
    if options.json:
        rows = table.Table(options.table).assign(sites)
        print(json.dumps([{**site._asdict(), "row": row and row.row}
                          for site, row in zip(sites, rows)], indent=1))
    else:
        for site in sites:
            print(site)
    return 0


def check(options):
    known = table.Table(options.table)
    sites = tree.sites(options.tree)
    new, gone = known.compare(sites)
    if options.json:
        print(json.dumps({"sites": len(sites), "new": [site._asdict() for site in new],
                          "gone": [pattern._asdict() for pattern in gone]}, indent=1))
    else:
        for site in new:
            print(f"{site}: no row covers this")
        for pattern in gone:
            print(f"row '{pattern.row}': '{pattern.text}' has no site")
        if not new and not gone:
            print(f"{len(sites)} sites, all of them covered by {len(known.rows)} rows")
    return DIFFERS if new or gone else 0


def document(options):
    known = table.Table(options.table)
    try:
        text = options.document.read_text(encoding="utf-8")
        wanted = known.document(text)
        if text == wanted:
            return 0
        if not options.write:
            print(f"{options.document} does not show the table; --write puts it right")
            return DIFFERS
        options.document.write_text(wanted, encoding="utf-8")
    except OSError as error:
        raise table.Wrong(f"{options.document}: {error.strerror}") from error
    return 0


def extract(options):
    try:
        count = tree.extract(sys.stdin.buffer, options.folder, set(options.others))
    except (OSError, tarfile.TarError, EOFError, lzma.LZMAError) as error:
        raise tree.NotATree(f"standard input is no archive that can be read: {error}"
                            ) from error
    if not count:
        raise tree.NotATree("the archive has nothing of Linux")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, default=HERE / "senders.toml", metavar="FILE",
                        help="the table (default: senders.toml beside this script)")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, run, text in (
            ("list", list_sites, "print all sites: file:line: function: callee"),
            ("check", check, "name sites that no row covers, and rows without a site")):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("tree", metavar="TREE", help="a Linux source tree")
        command.add_argument("--json", action="store_true", help="print JSON")
        command.set_defaults(run=run)
    text = "write what list and check read of the archive on standard input, and OTHERS"
    command = commands.add_parser("extract", help=text, description=text)
    command.add_argument("folder", metavar="FOLDER", help="where to; it becomes a TREE")
    command.add_argument("others", metavar="OTHERS", nargs="*",
                         help="paths of more files, such as those of patches")
    command.set_defaults(run=extract)
    text = "see whether a document shows the table"
    command = commands.add_parser("document", help=text, description=text)
    command.add_argument("document", type=Path, metavar="FILE",
                         help="docs/SENDERS.md, or another with its markers")
    command.add_argument("--write", action="store_true", help="put the table into it")
    command.set_defaults(run=document)
    options = parser.parse_args()
    try:
        return options.run(options)
    except (table.Wrong, tree.NotATree) as error:
        print(f"senders: {error}", file=sys.stderr)
        return CANNOT


if __name__ == "__main__":
    sys.exit(main())
