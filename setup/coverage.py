#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Build everything file by file with sanitizers, run the fast tests, and say how much
of each room they execute.

    coverage.py [--out FILE] [--jobs N]

The build is the preset "coverage". What guests execute is not counted: QEMU and the
guest's programs are not built this way. There is no threshold, since a number that has
to be reached is one that gets reached. Exit status: 0 done, 1 something does not build, 2 a test failed.
"""
import argparse
import collections
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.support.rooms import ROOMS, read_rooms, room_of  # noqa: E402

BUILD = ROOT / "build/coverage"
LABELS = "^(unit|property|race|fuzz)$"
FOLDERS = ("base", "vmm", "host", "experiments")
NOT_PRODUCT = r".*(_test|_testing|_fuzz|_oracle)\.[ch]pp$|.*/(tests|bench)/.*"


def table(files, known):
    """@param files: of gcovr's summary
    @return lines of text: executed and executable lines and branches by room"""
    sums = collections.defaultdict(collections.Counter)
    for file in files:
        counter = sums[room_of(file["filename"], known) or "?"]
        for kind in ("line", "branch"):
            for what in ("covered", "total"):
                counter[f"{kind}_{what}"] += file[f"{kind}_{what}"]
    yield f"{'':20}{'lines':>8}{'executed':>10}{'branches':>10}{'taken':>8}"
    for room in sorted(sums):
        counter = sums[room]
        shares = [f"{100 * counter[f'{kind}_covered'] / counter[f'{kind}_total']:.1f}%"
                  if counter[f"{kind}_total"] else "-" for kind in ("line", "branch")]
        yield (f"{room:20}{counter['line_total']:8}{shares[0]:>10}"
               f"{counter['branch_total']:10}{shares[1]:>8}")


def count(jobs):
    """@return gcovr's summary, file by file"""
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        subprocess.run(
            ["gcovr", "--root", ROOT, "--object-directory", BUILD, "-j", str(jobs),
             *[part for folder in FOLDERS for part in ("--filter", f"{ROOT}/{folder}/")],
             "--exclude", NOT_PRODUCT, "--exclude-unreachable-branches",
             "--exclude-throw-branches", "--json-summary", out.name, BUILD],
            check=True, stdout=subprocess.DEVNULL)
        return json.loads(Path(out.name).read_text(encoding="utf-8"))["files"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the table here too")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), metavar="N")
    options = parser.parse_args()
    for command in (["cmake", "--preset", "coverage"],
                    ["cmake", "--build", "--preset", "coverage", f"-j{options.jobs}"]):
        if subprocess.run(command, cwd=ROOT, check=False).returncode != 0:
            return 1
    for old in BUILD.rglob("*.gcda"):
        old.unlink()
    failed = subprocess.run(
        ["ctest", "-L", LABELS, "-LE", "long", "-j", str(options.jobs),
         "--output-on-failure", "--no-tests=error"], cwd=BUILD, check=False).returncode
    rooms = read_rooms(ROOMS.read_text(encoding="utf-8"))
    text = "".join(f"{line}\n" for line in table(count(options.jobs), rooms))
    print(text, end="")
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text, encoding="utf-8")
    return 2 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
