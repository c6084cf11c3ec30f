#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Write the entries of ctest for what pytest collects below tests/.

    pytest_tests.py OUT

OUT is a CMake file, which takes ${IPIDEFER_PYTEST} for the command that runs pytest
with the folder tests. tests/support/ctest.py says which tests are an entry, and how it
is run. Ends with status 1 if anything cannot be collected.
"""
import contextlib
import io
import os
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent.parent / "tests"


class Collector:
    """Keeps what pytest has collected, as entries."""

    entries = None

    def pytest_collection_finish(self, session):
        # Not before: the plugin is imported as part of the tests' package.
        from tests.support import ctest
        self.entries = ctest.entries(session.items, session.config)


def cmake_code(name, entry):
    """@return the CMake code for one entry"""
    properties = [("LABELS", ";".join(sorted(entry.labels))),
                  ("SKIP_RETURN_CODE", 77),
                  ("TIMEOUT", entry.properties["timeout"]),
                  ("PROCESSORS", entry.properties["processors"]),
                  ("RUN_SERIAL", "ON" if entry.properties["serial"] else "OFF"),
                  ("ENVIRONMENT", "IPIDEFER_BUILD=${PROJECT_BINARY_DIR}")]
    lines = [f'    {key} "{value}"' for key, value in properties]
    return (f'add_test(NAME {name} WORKING_DIRECTORY "{TESTS}"\n'
            f"    COMMAND ${{IPIDEFER_PYTEST}} {' '.join(sorted(entry.files))}"
            f" --ctest {name})\n"
            f"set_tests_properties({name} PROPERTIES\n" + "\n".join(lines) + ")\n")


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 1
    out = Path(sys.argv[1]).resolve()
    os.chdir(TESTS)
    collector, said = Collector(), io.StringIO()
    with contextlib.redirect_stdout(said):
        status = pytest.main(["--collect-only", "-q"], plugins=[collector])
    if status != 0 or not collector.entries:
        print(said.getvalue(), file=sys.stderr)
        return 1
    text = "".join(cmake_code(name, entry)
                   for name, entry in sorted(collector.entries.items()))
    out.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    sys.exit(main())
