# SPDX-License-Identifier: GPL-2.0-or-later
"""What the vCPUs of a guest that says nothing more are doing.

For the report of a test that failed; nothing here is a verdict.
"""
import bisect
import re
import time
from pathlib import Path

CPU = re.compile(r"CPU#(\d+)\n(.*?)(?=\nCPU#|\Z)", re.S)
VALUE = re.compile(r"\b(RIP|RSP|RFL|CR3|HLT) ?= ?([0-9a-f]+)")
WORD = re.compile(r"0x([0-9a-f]{16})")
# As much of a stack as is looked through for return addresses.
STACK_WORDS = 192
# How often, and how far apart in seconds, vCPUs are looked at again.
SAMPLES, INTERVAL = 8, 0.5
# Of the local APIC.
LINES = ("IRR", "ISR", "LVTT", "TPR", "APR")


class Symbols:
    """Of a kernel's build; where there is none, addresses stay addresses."""

    def __init__(self, folder):
        path = Path(folder, "System.map")
        rows = (line.split() for line in path.read_text().splitlines()) \
            if path.exists() else ()
        self._rows = sorted((int(address, 16), name) for address, kind, name in rows
                            if kind in "tT")
        self._addresses = [address for address, _ in self._rows]

    def name(self, address):
        """@return symbol+offset, or None if no code is there"""
        at = bisect.bisect_right(self._addresses, address) - 1
        # Behind these there is no code.
        if at < 0 or self._rows[at][1] in ("_etext", "_einittext", "_end"):
            return None
        return f"{self._rows[at][1]}+{address - self._rows[at][0]:#x}"


def registers(machine):
    """@return {vCPU: {register: value}}"""
    text = machine.hmp("info registers -a").replace("\r", "")
    return {cpu: {name: int(value, 16) for name, value in VALUE.findall(of)}
            for cpu, of in CPU.findall(text)}


def stack(machine, cpu, symbols, top):
    """@return what on a kernel stack may be return addresses, the latest first"""
    machine.hmp(f"cpu {cpu}")
    words = WORD.findall(machine.hmp(f"x/{STACK_WORDS}xg {top:#x}").replace(
        "0x" + f"{top:016x}:", ""))
    named = (symbols.name(int(word, 16)) for word in words)
    return [name for name in named if name]


def guest(machine, symbols):
    """Registers, local APIC and stack of each vCPU; lines of text."""
    for cpu, values in registers(machine).items():
        rip = values.get("RIP", 0)
        yield (f"vCPU {cpu}: {symbols.name(rip) or hex(rip)} " +
               " ".join(f"{name}={value:x}" for name, value in values.items()))
        lapic = machine.hmp(f"info lapic {cpu}").replace("\r", "").splitlines()
        yield from (f"    {line.strip()}" for line in lapic
                    if line.strip().startswith(LINES))
        # In the upper half: a kernel's.
        if values.get("RSP", 0) >> 63:
            yield from (f"    {name}"
                        for name in stack(machine, cpu, symbols, values["RSP"])[:24])


def progress(machine, symbols):
    """Where vCPUs that are not halted are, a few times; and the exits that KVM counts
    meanwhile. Whoever spins shows by what comes again."""
    before = exits(machine)
    for _ in range(SAMPLES):
        time.sleep(INTERVAL)
        yield "then: " + ", ".join(
            f"vCPU {cpu} {symbols.name(values['RIP']) or hex(values['RIP'])}"
            for cpu, values in registers(machine).items() if values.get("HLT") == 0)
    after = exits(machine)
    yield f"exits meanwhile: { {name: after[name] - before.get(name, 0) for name in after} }"


def exits(machine):
    """@return {"vCPU's path: name": count} of KVM; {} where it counts none"""
    reply = machine.qmp_reply("query-stats", target="vcpu")
    return {f"{of['qom-path'].rpartition('/')[2]}: {stat['name']}": stat["value"]
            for of in reply.get("return", ()) for stat in of["stats"]
            if "exits" in stat["name"] and isinstance(stat["value"], int) and stat["value"]}


def threads(machine):
    """State and kernel stack of each of QEMU's threads; lines of text."""
    for task in sorted(Path(f"/proc/{machine.process.pid}/task").iterdir()):
        state = re.search(r"State:\s+(.*)", (task / "status").read_text())
        yield f"thread {task.name} {(task / 'comm').read_text().strip()}: {state[1]}"
        try:
            yield from (f"    {line}" for line in (task / "stack").read_text().splitlines())
        except OSError as error:
            yield f"    {error}"


def report(machine, folder):
    """@param folder: of the kernel's build
    @return text; why there is none, if QEMU does not answer"""
    lines, symbols = [], Symbols(folder)
    for source in guest(machine, symbols), progress(machine, symbols), threads(machine):
        try:
            lines.extend(source)
        except Exception as error:  # noqa: BLE001  it must not hide the failure itself
            lines.append(f"{type(error).__name__}: {error}")
    return "\n".join(lines)
