# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab as an experiment: repetitions, and reports that are compared."""
import json
import os
import re
import subprocess
import threading

import pytest

from tests.support.lab import CANNOT_RUN, DEFECT, DONE, events, starve

pytestmark = [pytest.mark.nested, pytest.mark.ctest(timeout=1200, serial=True, each=True)]
NOT_COMPARABLE = 77
SEED = 7
ARMS = ["hv", "off/A", "off/B"]


@pytest.fixture
def compare(lab):
    """compare(BASE, NEW, OPTION..., status=...) is what `ipidefer lab compare` says."""
    def compared(*arguments, status=DONE):
        done = subprocess.run([lab.program, "lab", "compare", *map(str, arguments)],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
        print(done.stdout)
        assert done.returncode == status, done.stdout
        return done.stdout
    return compared


def variant(lab, name, change):
    """@return a file with the report, changed"""
    report = lab.report()
    change(report)
    file = lab.folder / name
    file.write_text(json.dumps(report))
    return file


def check_report(report):
    planned = report["repetitions"]
    assert (planned["count"], planned["seed"]) == (2, SEED)
    assert [sorted(arms) for arms in planned["order"]] == [ARMS, ARMS]
    # They ran as was planned, and each of them is there.
    assert [(run["repetition"], run["arm"]) for run in report["runs"]] == [
        (number, arm) for number, arms in enumerate(planned["order"], 1) for arm in arms]
    assert [(guest["repetition"], guest["arm"]) for guest in report["provenance"]["guests"]] == \
        [(run["repetition"], run["arm"]) for run in report["runs"]]
    for run in report["runs"]:
        assert run["agree"] is True
        assert run["mode"] == run["arm"].partition("/")[0]
        name = "do_sync_core" if run["mode"] == "off" else "typed:sync_core"
        assert events(run, name) > 0, run["arm"]


def check_table(said):
    assert f"2 repetitions, with the seed {SEED}" in said
    assert f"2 repetitions, seed {SEED}" in said
    head = next(line for line in said.splitlines() if "off/A  " in line)
    assert head.split() == ["off/A", "off/B", "hv"]
    assert "off/B - off/A, 2 pairs: the noise" in said
    assert "hv - off/A, 2 pairs\n" in said
    # Whatever they are, two pairs show nothing, and it says so.
    assert "no difference can be seen with 2 pairs: it takes 6 or more" in said
    assert "no difference seen" not in said


def check_statistics(report, said):
    """The numbers of the table, for programs."""
    [statistics] = report["statistics"]
    assert (statistics["workload"], statistics["base"]) == ("static-keys", "off/A")
    rows = {(row["kind"], row["row"]): row for row in statistics["rows"]}
    total = rows["interrupt", "total"]
    counts = {arm: sorted(sum(run["guest"]["interrupts"].values())
                          for run in report["runs"] if run["arm"] == arm) for arm in ARMS}
    assert {one["arm"]: one["median"] for one in total["medians"]} == {
        arm: sum(of_arm) / 2 for arm, of_arm in counts.items()}
    assert {one["arm"] for one in total["differences"]} == {"off/B", "hv"}
    line = next(line for line in said.splitlines() if line.startswith("  all of them "))
    assert [float(word) for word in re.findall(r"([0-9.]+) \[", line)] == [
        one["median"] for one in total["medians"]]


def check_gaps(report):
    """Gaps one by one, and what the guest did in them."""
    causes = {"off": set(), "hv": set()}
    for run in report["runs"]:
        calls = 0
        for loop in run["guest"]["loop"].values():
            listed = loop["listed_gaps"]
            assert listed["start_ns"] == sorted(listed["start_ns"])
            assert all(length > 9_900 for length in listed["length_ns"])
            assert len(listed["start_ns"]) == len(listed["length_ns"]) == len(listed["cause"])
            # The loops spin on while they are asked.
            assert len(listed["cause"]) + listed["left_out"] >= loop["interruptions"]
            causes[run["mode"]].update(listed["cause"])
            calls += sum("call_function" in cause for cause in listed["cause"])
        taken = run["guest"]["interrupts"]
        if run["mode"] == "off":
            # Each is an event, of which several may lie in one gap.
            assert 0 < calls <= taken["CAL"], run["arm"]
    assert causes["off"] - {"unknown"}
    assert "unknown" not in causes["hv"]


def check_page(page):
    """The page of `lab show`, made at the end of the run."""
    text = page.read_text()
    assert "<h2>Workload static-keys</h2>" in text
    assert "<figcaption>Interrupts by repetition</figcaption>" in text


def check_compare(lab, compare):
    base = lab.report_file
    said = compare(base, base, "--fail-if", "hv.do_sync_core > 0", "--fail-if",
                   "off.CAL drop > 5%", "--fail-if", "hv.total > 1000000")
    assert "off, 4 runs and 4 runs" in said
    assert said.count("not met: ") == 3

    def quieter(report):
        for run in report["runs"]:
            if run["mode"] == "off":
                run["guest"]["interrupts"]["CAL"] //= 2
    less = variant(lab, "less.json", quieter)
    said = compare(base, less, "--fail-if", "off.CAL drop > 5%", status=DEFECT)
    assert "\nmet: off.CAL drop > 5%\n" in said
    compare(less, base, "--fail-if", "off.CAL drop > 5%")

    said = compare(base, base, "--fail-if", "of.CAL > 5", status=CANNOT_RUN)
    assert "but hv, off\nof.CAL > 5\n^\n" in said
    said = compare(base, base, "--fail-if", "off.CAL => 5", status=CANNOT_RUN)
    assert "off.CAL => 5\n        ^\n" in said

    other = variant(lab, "kvm.json",
                    lambda report: report["provenance"].update(accelerator="kvm"))
    said = compare(base, other, status=NOT_COMPARABLE)
    assert "the accelerator was 'tcg' and is 'kvm'" in said
    compare(base, other, "--across", "accelerator")


def test_two_repetitions(lab, compare):
    """One experiment, since guests take their time to boot; its report is then compared."""
    said = lab.run("--repeat", "2", "--seed", str(SEED), "--modes", "off,hv", "--workload",
                   "static-keys", "--html", str(lab.folder / "page.html"))
    report = lab.report()
    check_report(report)
    check_table(said)
    check_statistics(report, said)
    check_gaps(report)
    assert "their gaps > 10 us, by what the guest did in them" in said
    check_page(lab.folder / "page.html")
    check_compare(lab, compare)


@pytest.mark.long
def test_repetition_that_the_host_starved(lab):
    """It is reported, and left out with its pair; the others are there."""
    name = f"repeated-{os.getpid()}"
    logs = lab.folder / "logs"
    work = lab.script("echo '<0>lab: now' >/dev/kmsg; i=0\n"
                      "while [ $i -lt 20 ]; do echo $i; sleep 1; i=$((i + 1)); done\n")
    starving = threading.Thread(target=starve, args=(
        logs / "repetition-1-off-B/console.log", name, b"lab: now", 10))
    starving.start()
    said = lab.run("--repeat", "2", "--modes", "off", "--name", name, "--keep-logs", str(logs),
                   "--workload", work, "--retries", "0")
    starving.join()
    assert "repetition 1 of 2, mode off/B: the host starved" in said
    assert "left out: off/B of repetition 1, which the host starved" in said
    assert "off/B - off/A, 1 pair: the noise" in said
    report = lab.report()
    assert [(one["arm"], one["repetition"], one["retried"]) for one in report["starved"]] == \
        [("off/B", 1, False)]
    assert sorted((run["repetition"], run["arm"]) for run in report["runs"]) == \
        [(1, "off/A"), (2, "off/A"), (2, "off/B")]
