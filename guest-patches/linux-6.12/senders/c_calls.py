# SPDX-License-Identifier: GPL-2.0-or-later
"""Which functions a C file calls, and where: enough of C for the kernel's style.

Comments and strings are no code. Of a conditional whose option an x86-64 kernel cannot
have, only the other branch is. What stands outside of functions is a declaration or a
definition. A macro's body is code, of a function with the macro's name.

Not handled: names that a macro puts together, functions that are handed on as values, and
calls by pointers, except by those whose member has the name.
"""
import bisect
import re
from typing import NamedTuple

NOT_CODE = re.compile(r"""/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\[^\n']{1,5}|[^'\\\n])'""",
                      re.DOTALL)
DIRECTIVE = re.compile(r"^[ \t]*#[ \t]*(\w+)((?:[^\\\n]|\\\n|\\.)*)", re.MULTILINE)
TOKEN = re.compile(r"[A-Za-z_]\w*|->|[^\s\w]")
WORD = re.compile(r"[A-Za-z_]\w*")
DEFINE = re.compile(r"[ \t]*(\w+)(\([^)]*\))?")
OPTION = re.compile(r"^\s*(?:(!)\s*)?(?:defined|IS_ENABLED|IS_BUILTIN|IS_REACHABLE)\s*"
                    r"\(?\s*CONFIG_(\w+?)(?:_MODULE)?\s*\)?\s*$")
# A word before a name and a parenthesis that does not make it a declaration.
STATEMENTS = frozenset(["return", "else", "do", "case", "goto", "if", "while", "for",
                        "switch", "sizeof", "typeof", "__typeof__", "likely", "unlikely"])
MACRO = re.compile(r"[A-Z][A-Z0-9_]*$")
# What may stand with parentheses in the head of a function, and is not its name.
ATTRIBUTES = re.compile(r"__(?:attribute__|releases|acquires|must_hold|cond_acquires|"
                        r"printf|scanf|section|alias|aligned|typeof__|no_sanitize\w*|"
                        r"alloc_size|malloc|cond_lock|diag_\w+|context__)$|typeof$")


class Call(NamedTuple):
    """A name that is called in a function."""
    line: int
    function: str
    name: str


def blank(text):
    """@return as many lines of as many blanks"""
    return re.sub(r"[^\n]", " ", text)


def without_comments(text):
    return NOT_CODE.sub(lambda found: blank(found[0]), text)


def branch(kind, condition, option):
    """@param option: a function, whether an option can be, and whether it must be
    @return whether the code below an #if, #ifdef, #ifndef can exist, and that below its
    #else"""
    if kind in ("ifdef", "ifndef"):
        condition = f"{'!' if kind == 'ifndef' else ''}defined({condition.strip()})"
    if condition.strip() in ("0", "1"):
        return condition.strip() == "1", condition.strip() == "0"
    found = OPTION.match(condition)
    if not found:
        return True, True
    can, must = option(found[2])
    return (not must, can) if found[1] else (can, not must)


class Scanner:
    """Goes through a file's tokens, with what is open at each."""

    def __init__(self, text, wanted, option):
        self.text = without_comments(text)
        self.wanted, self.option = wanted, option
        self.starts = [0] + [found.end() for found in re.finditer(r"\n", self.text)]
        self.calls = []
        self.depth, self.function, self.head = 0, "", []
        # What was open at each #if, and which of its branches exist.
        self.conditions = []

    def line(self, position):
        return bisect.bisect_right(self.starts, position)

    def exists(self):
        return all(now for _, now, _ in self.conditions)

    def scan(self):
        """@return all calls, in order"""
        at = 0
        for found in DIRECTIVE.finditer(self.text):
            self.code(at, found.start())
            self.directive(found[1], found[2], found.start(2))
            at = found.end()
        self.code(at, len(self.text))
        return self.calls

    def directive(self, kind, rest, position):
        if kind in ("if", "ifdef", "ifndef"):
            now, otherwise = branch(kind, rest, self.option)
            self.conditions.append(((self.depth, self.function, list(self.head)), now,
                                    otherwise))
        elif kind in ("else", "elif") and self.conditions:
            # Both branches may open the same block, which ends once.
            before, _, otherwise = self.conditions.pop()
            self.depth, self.function, self.head = before[0], before[1], list(before[2])
            self.conditions.append((before, otherwise, otherwise))
        elif kind == "endif" and self.conditions:
            self.conditions.pop()
        elif kind == "define" and self.exists():
            name = DEFINE.match(rest)
            if name:
                start = position + name.end()
                self.names(list(TOKEN.finditer(self.text, start, position + len(rest))),
                           name[1])

    def code(self, start, end):
        if not self.exists():
            return
        inside = []
        for token in TOKEN.finditer(self.text, start, end):
            if token[0] == "{":
                if self.depth == 0:
                    self.function = function_of(self.head)
                    self.head = []
                self.depth += 1
            elif token[0] == "}":
                # A block that a macro opened is not seen.
                self.depth = max(self.depth - 1, 0)
                if self.depth == 0:
                    inside.append(token)
                    self.names(inside, self.function)
                    inside, self.head = [], []
                    continue
            elif self.depth == 0:
                self.head = [] if token[0] == ";" else self.head + [token[0]]
                continue
            inside.append(token)
        self.names(inside, self.function)

    def names(self, tokens, function):
        """Takes the calls out of code within a function."""
        for at, token in enumerate(tokens):
            name = token[0]
            if not self.wanted(name):
                continue
            before = tokens[at - 1][0] if at else ""
            after = tokens[at + 1][0] if at + 1 < len(tokens) else ""
            # With a type before it, it is declared.
            declared = WORD.fullmatch(before) and before not in STATEMENTS
            if after == "(" and not declared:
                self.calls.append(Call(self.line(token.start()), function, name))


def function_of(head):
    """@return the name of what begins with these tokens and a brace"""
    if "=" in head:
        head = head[:head.index("=")]
        if "[" in head:
            head = head[:head.index("[")]
        words = [word for word in head if WORD.fullmatch(word)]
        return words[-1] if words else ""
    by_macro = ""
    for at, (word, following) in enumerate(zip(head, head[1:])):
        if following != "(" or not WORD.fullmatch(word) or ATTRIBUTES.match(word):
            continue
        if not MACRO.match(word):
            return word
        # A macro that defines a function: its argument is what people know. Or one of a
        # line before, after which there is no semicolon.
        arguments = [name for name in head[at + 2:] if WORD.fullmatch(name)]
        by_macro = by_macro or (arguments[0] if arguments else word)
    words = [word for word in head if WORD.fullmatch(word)]
    return by_macro or (words[-1] if words else "")


def calls(text, wanted, option=lambda name: (True, False)):
    """@param wanted: a function, whether a name is of interest
    @param option: a function, for the name of an option of the kernel: whether it can be
    set, and whether it must be
    @return the Calls of a file"""
    return Scanner(text, wanted, option).scan()
