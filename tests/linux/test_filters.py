# SPDX-License-Identifier: GPL-2.0-or-later
"""Our trace filters mean what the kernel's do.

A guest sends IPIs to all sets of its CPUs. Tracing instances of its kernel record
them, one without a filter, each other one with a filter of its own. Ours are
applied to what the first one has, and must leave, CPU by CPU, what the kernel
left. Filters that the kernel refuses must be refused.
"""
import random
import re
import subprocess

import pytest

from tests.support import requirements

pytestmark = [pytest.mark.nested, pytest.mark.long,
              pytest.mark.ctest(timeout=900, processors=2)]
TRACING = "/sys/kernel/debug/tracing"
VCPUS = 4
LISTS = ("0", "1", "2", "3", "0-1", "1-2", "2-3", "1,3", "0,2-3", "0-3",
         "0-3:1/2")
# In the kernel's own words.
KERNEL_LISTS = ("N", "1-N:1/2", " all:1/3 ", ",1,,3,", "all:0/2", " ")
LEAST_EVENTS = 60

ANY_EVENT = ["CPU == 0", "CPU != 1", "CPU > 1", "CPU <= 2",
             "CPU & CPUS{0}", "CPU == CPUS{1}", "CPU != CPUS{1}",
             "CPU & CPUS{1-2}", "CPU == CPUS{1-2}", "CPU != CPUS{0-1}"]
FILTERS = {
    # A cpumask.
    "ipi_send_cpumask": [
        *(f"cpumask {op} CPUS{{{cpus}}}"
          for op in ("&", "==", "!=") for cpus in LISTS),
        *(f"cpumask & CPUS{{{cpus}}}" for cpus in KERNEL_LISTS),
        "!(cpumask & CPUS{3})",
        "cpumask & CPUS{2-3} && CPU == 1",
        "cpumask & CPUS{1} || cpumask & CPUS{3} && CPU & CPUS{0}",
        "(cpumask & CPUS{1} || cpumask & CPUS{3}) && CPU & CPUS{0}",
        "!(cpumask & CPUS{1}) && !(CPU == 0)",
    ],
    # A number.
    "ipi_send_cpu": [
        *(f"cpu {op} CPUS{{{cpus}}}"
          for op in ("&", "==", "!=") for cpus in LISTS),
        *(f"cpu & CPUS{{{cpus}}}" for cpus in KERNEL_LISTS),
        "cpu == 2", "cpu != 0x3", "cpu > 1", "cpu >= 1", "cpu < 3",
        "cpu <= 2", "cpu & 2", "cpu & 1",
        "cpu != 1 && CPU & CPUS{0}",
        "!(cpu & CPUS{2-3}) || CPU == CPUS{3}",
    ],
}
# What the kernel takes, and does not mean: never true, and a comparison with
# where the mask lies in the record.
MISTAKES = ("CPU & 2", "cpumask & 2")
REFUSED = {
    "ipi_send_cpumask": [
        "cpumask > CPUS{1}", "cpumask & CPUS{1",
        "cpumask CPUS{1}", "cpumask & CPUS{1} &&", "(cpumask & CPUS{1}",
        "cpumask & CPUS{1})", "cpumask & CPUS{a}", "cpumask & CPUS{0-3,^1}",
        "cpumask & CPUS{4}", "cpumask & CPUS{}",
        "cpumask & CPUS{3-1}"],
    "ipi_send_cpu": [
        "cpu > CPUS{1}", "cpu == ", "cpu", "nosuch == 1", "cpu == -1",
        "cpu === 1", "cpu == 1 & cpu == 2", "cpu ~ 1", "|| cpu == 1"],
}


def random_filter(rng, event, depth=0):
    """Something in the grammar that both have."""
    if depth < 3 and rng.random() < 0.5:
        left, right = (random_filter(rng, event, depth + 1) for _ in range(2))
        negation = rng.choice(["", "", "!"])
        return f"{negation}({left} {rng.choice(['&&', '||'])} {right})"
    field = rng.choice(["CPU", {"ipi_send_cpumask": "cpumask",
                                "ipi_send_cpu": "cpu"}[event]])
    if field == "cpumask" or rng.random() < 0.5:
        return (f"{field} {rng.choice(['&', '==', '!='])} "
                f"CPUS{{{rng.choice(LISTS)}}}")
    operators = ["==", "!=", "<", "<=", ">", ">="]
    if field != "CPU":
        operators.append("&")
    return f"{field} {rng.choice(operators)} {rng.randrange(VCPUS)}"


def apply_ours(text, lines=""):
    """@return the program's status, and for each event whether our filter lets it pass"""
    done = subprocess.run(
        [requirements.path("IPIDEFER_FILTER_MATCHES"), str(VCPUS), text], input=lines,
        stdout=subprocess.PIPE, text=True, check=False)
    return done.returncode, done.stdout.split()


def add_instance(guest, name, event, text):
    """A tracing instance with a filter. @return whether it was taken"""
    guest.run(f"cd $I; mkdir {name}; echo 64 >{name}/buffer_size_kb; "
              f"echo mono >{name}/trace_clock")
    if not text:
        return True
    [status] = guest.lines_of(
        f"echo '{text}' 2>/dev/null "
        f">$I/{name}/events/ipi/{event}/filter; echo $?")
    return status == "0"


def record(guest, event, names):
    """{instance: {CPU: [value as text], sorted}} of what was sent meanwhile."""
    for name in names:
        guest.run(f"echo 1 >$I/{name}/events/ipi/{event}/enable")
    # Switching tracing on and off sends IPIs, too, and not all see them.
    said = " ".join(guest.lines_of("ipi_masks 3"))
    begin, end = re.search(r"== from ([\d.]+) to ([\d.]+)", said).groups()
    for name in names:
        guest.run(f"echo 0 >$I/{name}/events/ipi/{event}/enable")
    seen = {}
    for name in names:
        text = " ".join(guest.lines_of(
            f"awk -v a={begin} -v b={end} '/entries-written/ {{ print $3 }} "
            "$5 ~ /^ipi_send/ { sub(\":\", \"\", $4); if ($4 + 0 > a + 0 && $4 + 0 < b + 0) { "
            "sub(\"cpu[a-z]*=\", \"\", $6); printf \"%s=%s \", $2, $6 } }' "
            f"$I/{name}/trace; echo"))
        kept, written = re.search(r"(\d+)/(\d+)", text).groups()
        assert kept == written, "the buffer is too small"
        seen[name] = {}
        for cpu, value in re.findall(r"\[00(\d)\]=([0-9a-f,]+)", text):
            seen[name].setdefault(int(cpu), []).append(value)
        # An interrupt that sends while an event is being written comes before
        # it in those instances that have yet to write it.
        for values in seen[name].values():
            values.sort()
    return seen


def ours(event, text, values):
    """Those that our filter lets pass, by CPU."""
    passed = {}
    for cpu, all_of_cpu in values.items():
        lines = "".join(f"{event} {cpu} {value.replace(',', '')}\n"
                        for value in all_of_cpu)
        status, matches = apply_ours(text, lines)
        assert status == 0
        assert len(matches) == len(all_of_cpu)
        left = [v for v, m in zip(all_of_cpu, matches) if m == "1"]
        if left:
            passed[cpu] = left
    return passed


def compare(guest, event):
    rng = random.Random(1)
    filters = [*FILTERS[event], *ANY_EVENT,
               *(random_filter(rng, event) for _ in range(30))]
    names = ["all"]
    add_instance(guest, "all", event, None)
    for i, text in enumerate(filters):
        assert add_instance(guest, f"f{i}", event, text), text
        names.append(f"f{i}")
    seen = record(guest, event, names)
    count = sum(map(len, seen["all"].values()))
    assert count > LEAST_EVENTS
    assert len(seen["all"]) == VCPUS, "not all CPUs have sent"
    some = 0
    for i, text in enumerate(filters):
        assert ours(event, text, seen["all"]) == seen[f"f{i}"]
        passed = sum(map(len, seen[f"f{i}"].values()))
        some += 0 < passed < count
    # Else nothing was told apart.
    assert some > len(filters) / 2
    # And another filter is told from the right one.
    assert (ours(event, "CPU == 1", seen["all"])
            != ours(event, "CPU == 2", seen["all"]))
    first = filters[1]
    assert ours(event, f"!({first})", seen["all"]) != seen["f1"]


def expect_refused(text):
    status, _ = apply_ours(text)
    assert status == 2, "we take it"


class TestFilters:
    @pytest.fixture
    def guest(self, boot):
        requirements.path("IPIDEFER_FILTER_MATCHES")
        guest = boot("ipi_defer=off loops=", {
            "bin/ipi_masks": requirements.path("IPIDEFER_IPI_MASKS")})
        guest.run(f"I={TRACING}/instances; ls $I >/dev/null")
        return guest

    def test_cpumask(self, guest):
        compare(guest, "ipi_send_cpumask")

    def test_number(self, guest):
        compare(guest, "ipi_send_cpu")

    def test_refused(self, guest):
        for event, filters in REFUSED.items():
            for i, text in enumerate(filters):
                assert not (add_instance(guest, f"r{i}{event}", event, text)), \
                    "the kernel takes it"
                expect_refused(text)
        for text in MISTAKES:
            expect_refused(text)
