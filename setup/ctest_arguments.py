#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What ctest would ignore without a word, and then run every test: options that it does not
have, and words that belong to none.

    ctest_arguments.py ARGUMENT...

Exit status: 0, or 2 with a message if there is such an argument.
"""
import re
import subprocess
import sys

# As `ctest --help` has them: "-R <regex>, --tests-regex <regex>".
OPTION = re.compile(r"(?<![\w\[<-])(--?[A-Za-z][\w.-]*)(\[?=)?(?: ([<\[]|until-|after-))?")


def options_in(text):
    """@param text: what `ctest --help` prints
    @return {option: whether a value follows it}"""
    options = {}
    for line in text.splitlines():
        if re.match(r"  -", line):
            for name, equals, value in OPTION.findall(line.split(" = ")[0]):
                options[name] = options.get(name, False) or bool(value and not equals)
    return options


def misfit(arguments, options):
    """@return the first argument that ctest would ignore, or None"""
    left = list(arguments)
    while left:
        argument = left.pop(0)
        name = argument.partition("=")[0]
        if re.fullmatch(r"-j\d+", argument):
            continue
        if name not in options:
            return argument
        if argument == name and options[name] and left:
            left.pop(0)
    return None


def main():
    text = subprocess.run(["ctest", "--help"], stdout=subprocess.PIPE, text=True,
                          check=True).stdout
    wrong = misfit(sys.argv[1:], options_in(text))
    if wrong is None:
        return 0
    print(f"check: '{wrong}' is neither an option of check nor of ctest, which would run every "
          "test; see check --help", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
