# SPDX-License-Identifier: GPL-2.0-or-later
"""Which files and options of a Linux source tree an SMP kernel for x86-64 can have.

Kconfig files are read for what each option depends on, makefiles for the option that a
file or folder is built for. Where they do not say, or say it in a way that is not
understood here, the answer is that it can be: nothing is left out by mistake. A tree
without Kconfig can have everything.
"""
import re
from pathlib import PurePosixPath

# Of the kernels that this is about.
ALWAYS = frozenset(["X86", "X86_64", "64BIT", "MMU", "SMP", "X86_LOCAL_APIC",
                    "X86_IO_APIC"])
# BROKEN and COMPILE_TEST are for builds that nobody runs.
NEVER = frozenset(["X86_32", "UML", "BROKEN", "COMPILE_TEST"])
# Files that are read for that, by their names.
MAKES = re.compile(r"Kconfig\S*|Makefile|Kbuild")
TOKEN = re.compile(r'"[^"]*"|\$\([^)]*\)|&&|\|\||!=|<=|>=|[!()=<>]|[\w.-]+')
ASSIGNED = re.compile(r"^([\w./-]*?)-?(\$\(CONFIG_(\w+)\)|y|m|objs|\$\([^)]*\))\s*"
                      r"[:+?]?=\s*(.*)$", re.MULTILINE)


class Kconfig:
    """What options can be, at most."""

    def __init__(self, read):
        """@param read: a function, for the text of a file of the tree, or None"""
        self.read, self.seen = read, set()
        # name: [(conditions, whether it has a prompt, [(value, condition)])]
        self.definitions, self.selects = {}, []
        self.possible = set()
        if read("Kconfig") is not None:
            self.parse("Kconfig", [])
            self.solve()

    def can(self, name):
        if not self.definitions:
            return True
        return name in ALWAYS or name in self.possible

    def option(self, name):
        """@return whether an option can be set, and whether it must be"""
        return self.can(name), name in ALWAYS

    def parse(self, path, outside):
        """@param outside: the conditions of what has the file"""
        text = self.read(path) if path not in self.seen else None
        self.seen.add(path)
        if text is None:
            return
        stack, entry, in_help = [list(outside)], None, None
        for line in text.replace("\\\n", " ").expandtabs().split("\n"):
            words = line.split("#")[0].split(None, 1)
            indent = len(line) - len(line.lstrip())
            if in_help is not None and line.strip():
                if in_help == -1:
                    in_help = indent
                if indent >= in_help and indent:
                    continue
                in_help = None
            if not words:
                continue
            what, rest = words[0], words[1].strip() if len(words) > 1 else ""
            if what in ("help", "---help---"):
                in_help = -1
            elif what in ("config", "menuconfig"):
                entry = (list(stack[-1]), [], [])
                self.definitions.setdefault(rest, []).append(entry)
                current = rest
            elif what in ("menu", "choice", "if"):
                stack.append(stack[-1] + ([rest] if what == "if" else []))
                entry = (stack[-1], None, None) if what != "if" else None
            elif what in ("endmenu", "endchoice", "endif"):
                if len(stack) > 1:
                    stack.pop()
                entry = None
            elif what == "comment":
                entry = ([], None, None)
            elif what == "source":
                name = rest.strip('"').replace("$(SRCARCH)", "x86")
                self.parse(name, stack[-1])
            elif entry is None:
                continue
            elif what == "depends":
                entry[0].append(rest.removeprefix("on").strip())
            elif entry[2] is None:
                continue
            elif what in ("bool", "tristate", "prompt", "int", "hex", "string"):
                if rest:
                    entry[1].append(rest)
            elif what.startswith(("def_", "default")):
                value, _, condition = rest.partition(" if ")
                entry[2].append((value, condition))
            elif what in ("select", "imply"):
                name, _, condition = rest.partition(" if ")
                self.selects.append((current, name.strip(), condition))

    def solve(self):
        """An option can be if what it depends on can, or if what selects it can."""
        before = -1
        while before != len(self.possible):
            before = len(self.possible)
            for name, entries in self.definitions.items():
                if name not in self.possible and name not in NEVER and any(
                        all(map(self.holds, conditions)) and
                        (prompts or any(self.holds(value) and self.holds(condition)
                                        for value, condition in defaults))
                        for conditions, prompts, defaults in entries):
                    self.possible.add(name)
            for by, name, condition in self.selects:
                if by in self.possible and name not in NEVER and self.holds(condition):
                    self.possible.add(name)

    def holds(self, expression):
        """@return whether an expression can be true"""
        tokens = TOKEN.findall(expression)
        if not tokens:
            return True
        value, rest = self.either(tokens)
        # What is left was not understood, so it can be.
        return value or bool(rest)

    def either(self, tokens):
        value, tokens = self.both(tokens)
        while tokens and tokens[0] == "||":
            other, tokens = self.both(tokens[1:])
            value = value or other
        return value, tokens

    def both(self, tokens):
        value, tokens = self.single(tokens)
        while tokens and tokens[0] == "&&":
            other, tokens = self.single(tokens[1:])
            value = value and other
        return value, tokens

    def single(self, tokens):
        if not tokens:
            return True, []
        if tokens[0] == "!":
            if len(tokens) > 1 and tokens[1] != "(":
                return tokens[1] not in ALWAYS, tokens[2:]
            _, rest = self.single(tokens[1:])
            return True, rest
        if tokens[0] == "(":
            value, rest = self.either(tokens[1:])
            return value, rest[1:]
        if len(tokens) > 2 and tokens[1] in ("=", "!=", "<", ">", "<=", ">="):
            return True, tokens[3:]
        name = tokens[0]
        if name in ("y", "m") or name[0] in '"$':
            return name != '"n"', tokens[1:]
        return name != "n" and name not in NEVER and self.can(name), tokens[1:]


class Kbuild:
    """Which files can be built."""

    def __init__(self, read):
        self.read, self.kconfig = read, Kconfig(read)
        # Folder: {what its makefiles name: [(composite, option)]}
        self.rules, self.known = {}, {}

    def can_build(self, path):
        """@param path: of a C file or header, from the root of the tree"""
        folder = str(PurePosixPath(path).parent)
        if path.startswith("arch/") and not path.startswith("arch/x86/"):
            return False
        if path.startswith(("arch/x86/um/", "arch/x86/boot/", "arch/x86/tools/")):
            return False
        if not self.folder(folder):
            return False
        return not path.endswith(".c") or self.target(folder, path[:-2] + ".o")

    def folder(self, path):
        if path in (".", ""):
            return True
        if path not in self.known:
            parent = str(PurePosixPath(path).parent)
            self.known[path] = self.folder(parent) and self.target(parent, path + "/")
        return self.known[path]

    def target(self, folder, path, names=()):
        """Whether what is to be built in a folder, or one above it, can be."""
        above = PurePosixPath(folder)
        for place in [above, *above.parents]:
            where = str(place)
            name = path if where == "." else path[len(where) + 1:]
            named = self.rules_of(where).get(name)
            if named:
                return any(self.rule(where, composite, option, (*names, path))
                           for composite, option in named)
        return True

    def rule(self, folder, composite, option, names):
        if option is not None and not self.kconfig.can(option):
            return False
        if not composite or composite in ("obj", "lib", "subdir", "core", "libs",
                                          "drivers", "head"):
            return True
        whole = f"{composite}.o" if folder == "." else f"{folder}/{composite}.o"
        return whole in names or self.target(folder, whole, names)

    def rules_of(self, folder):
        if folder not in self.rules:
            rules = {}
            for name in ("Kbuild", "Makefile"):
                text = self.read(name if folder == "." else f"{folder}/{name}") or ""
                text = re.sub(r"#.*", "", text.replace("\\\n", " "))
                for composite, _, option, values in ASSIGNED.findall(self.smp(text)):
                    for value in values.split():
                        rules.setdefault(value, []).append((composite, option or None))
            self.rules[folder] = rules
        return self.rules[folder]

    @staticmethod
    def smp(text):
        """Without what is for a uniprocessor only."""
        return re.sub(r"^ifneq \(\$\(CONFIG_SMP\),y\)\n.*?^endif", "", text,
                      flags=re.MULTILINE | re.DOTALL)
