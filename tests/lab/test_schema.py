# SPDX-License-Identifier: GPL-2.0-or-later
"""What the lab writes is what its schemas say, and nothing else is. The reports here need
no guest; those of the lab's other tests are validated where they are read."""
import copy
import json
import pathlib
import re
import subprocess
import tempfile

import pytest

from tests.support import requirements
from tests.support.requirements import ROOT
from tests.support.schema import FOLDER, Schema

pytestmark = pytest.mark.unit
REPORT, COMPARISON = "ipidefer-lab/1", "ipidefer-lab-compare/1"
SAMPLES = ("one-of-each", "nested", "defects", "repeated", "swept")
# Objects whose members are data, by the name of the member that has them: any may be
# missing, and there may be others.
DATA = {"events", "interrupts", "loop", "gaps_ns", "nested", "kvm", "host_interrupts",
        "verdicts", "merged", "factors"}
# Of data in data: KVM's statistics, by vCPU.
DATA_BELOW = {"kvm"}
# What takes the place of a value, none of which any member may be.
WRONG_TYPES = ([[1.5]], {"?": 1.5})


@pytest.fixture(scope="module")
def samples():
    program = requirements.path("IPIDEFER_SAMPLE_REPORTS")
    with tempfile.TemporaryDirectory(prefix="ipidefer-test-") as folder:
        subprocess.run([program, folder], check=True)
        yield {name: pathlib.Path(folder) / f"{name}.json" for name in SAMPLES}


@pytest.fixture(scope="module")
def reports(samples):
    return {name: json.loads(file.read_text()) for name, file in samples.items()}


@pytest.fixture(scope="module")
def comparison(samples):
    """What `ipidefer lab compare` says of two reports, for programs."""
    done = subprocess.run(
        [requirements.path("IPIDEFER_CLI"), "lab", "compare", "--json", "-", "--fail-if",
         "hv.CAL > 5", samples["repeated"], samples["repeated"]],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def schema():
    return Schema(REPORT)


def members(document, path=()):
    """Each member of each object, (path of the object, name); of arrays, whose items are
    alike, the first."""
    if isinstance(document, dict):
        for name, value in document.items():
            yield path, name
            yield from members(value, (*path, name))
    elif isinstance(document, list) and document:
        yield from members(document[0], (*path, 0))


def is_data(path):
    """Whether the members of an object are data."""
    if path[:1] == ("sweep",):
        return True
    names = [name for name in path if name != 0]
    return bool(names) and (names[-1] in DATA or
                            len(names) > 1 and names[-2] in DATA_BELOW)


def at(document, path):
    for name in path:
        document = document[name]
    return document


def changed(document, path, change):
    """@return a copy in which `change` was called with the object at a path"""
    copied = copy.deepcopy(document)
    change(at(copied, path))
    return copied


def one_run_each(report):
    """The same with few enough runs for a sweep."""
    few = copy.deepcopy(report)
    few["runs"] = few["runs"][-1:]
    few["provenance"]["guests"] = few["provenance"]["guests"][-1:]
    return few


class TestReports:
    @pytest.mark.parametrize("name", SAMPLES)
    def test_of_the_lab_is_valid(self, schema, reports, name):
        assert schema.complaints(reports[name]) == []

    def test_the_samples_have_all_that_there_is(self, reports):
        """Or the sweep below would look at less than it seems to."""
        runs = [run for report in reports.values() for run in report["runs"]]
        for member in ("nested", "kvm", "host_interrupts", "vmm"):
            assert any(run[member] for run in runs), member
            assert any(run[member] is None for run in runs), member
        assert any(run["vmm"] and run["vmm"]["merged"] for run in runs)
        assert reports["defects"]["given_up"] and reports["defects"]["starved"]
        assert reports["repeated"]["repetitions"] and reports["repeated"]["statistics"]

    @pytest.mark.parametrize("name", SAMPLES)
    def test_members_may_not_be_missing_or_more(self, schema, reports, name):
        report = one_run_each(reports[name])
        objects = set()
        for path, member in members(report):
            if not is_data(path):
                objects.add(path)
                without = changed(report, path, lambda found, m=member: found.pop(m))
                assert not schema.accepts(without), (path, member)
        assert len(objects) > 8
        for path in objects:
            more = changed(report, path, lambda found: found.update(unknown=1))
            assert not schema.accepts(more), path

    @pytest.mark.parametrize("name", SAMPLES)
    def test_values_may_not_be_of_another_type(self, schema, reports, name):
        report = one_run_each(reports[name])
        for path, member in members(report):
            for wrong in WRONG_TYPES:
                bad = changed(report, path,
                              lambda found, m=member, w=wrong: found.update({m: w}))
                assert not schema.accepts(bad), (path, member, wrong)

    @pytest.mark.parametrize("path, member, value", [
        ((), "schema", "ipidefer-lab/2"),
        (("runs", 0), "mode", "on"),
        (("runs", 0), "arm", "hv/A"),
        (("runs", 0), "repetition", 2),     # without repetitions
        (("runs", 0), "milliseconds", -1),
        (("runs", 0), "milliseconds", 1.5),
        (("runs", 0), "isolated", [0]),
        (("runs", 0), "isolated", []),
        (("runs", 0), "agree", False),      # and no reason
        (("runs", 0), "disagreements", ["vCPU 2: no"]),     # though they agree
        (("runs", 0, "guest", "interrupts"), "CAL", "5"),
        (("runs", 0, "guest", "events"), "do_sync_core", -5),
        (("runs", 0, "guest", "loop", "2", "gaps_ns"), "1us", 5),
        (("runs", 0, "guest", "loop", "2", "gaps_ns"), "90", 0),
        (("runs", 2, "vmm", "verdicts"), "f5", {}),
        (("runs", 2, "vmm", "verdicts", "0xf5"), "deferred", None),
        (("provenance",), "date", "yesterday"),
        (("provenance", "kernel"), "sha256", "abc"),
        (("provenance",), "accelerator", "hvf"),
    ])
    def test_offenders_are_refused(self, schema, reports, path, member, value):
        report = reports["one-of-each"]
        bad = changed(report, path, lambda found: found.update({member: value}))
        assert not schema.accepts(bad)

    @pytest.mark.parametrize("path, member, value", [
        ((), "statistics", None),
        (("statistics", 0), "base", "off"),
        (("statistics", 0, "rows", 0), "unit", "s"),
        (("statistics", 0, "rows", 0), "unit", None),
        (("statistics", 0, "rows", 0), "kind", "interrupts"),
        (("statistics", 0, "rows", 0, "medians", 0), "runs", 0),
        (("statistics", 0, "rows", 0, "differences", 0), "p", 1.01),
        (("statistics", 0, "rows", 0, "differences", 0), "interval", [1]),
        (("statistics", 0, "rows", 0, "differences", 0), "verdict", "better"),
        (("repetitions",), "seed", 2 ** 32),
        (("repetitions",), "count", 1),
    ])
    def test_offenders_among_repetitions_are_refused(self, schema, reports, path, member,
                                                     value):
        report = reports["repeated"]
        bad = changed(report, path, lambda found: found.update({member: value}))
        assert not schema.accepts(bad)

    @pytest.mark.parametrize("value", [{"cpu": "4"}, {"cpus": 4}, {}])
    def test_points_of_a_sweep_have_factors_that_there_are(self, schema, reports, value):
        assert not schema.accepts(reports["swept"] | {"sweep": [value]})

    def test_a_number_without_its_unit_is_refused(self, schema, reports):
        def rename(run):
            run["duration"] = run.pop("milliseconds")
        assert not schema.accepts(changed(reports["one-of-each"], ("runs", 0), rename))

    def test_arms_and_repetitions_go_together(self, schema, reports):
        repeated = reports["repeated"]
        assert not schema.accepts(repeated | {"repetitions": None})
        index = next(number for number, run in enumerate(repeated["runs"])
                     if run["mode"] == "off")
        assert not schema.accepts(changed(repeated, ("runs", index),
                                          lambda run: run.update(arm="off")))


class TestComparisons:
    def test_of_the_lab_is_valid(self, comparison):
        assert Schema(COMPARISON).complaints(comparison) == []
        assert comparison["criteria"] and comparison["workloads"][0]["modes"][0]["rows"]

    def test_members_may_not_be_missing_or_more(self, comparison):
        schema = Schema(COMPARISON)
        for path, member in members(comparison):
            without = changed(comparison, path, lambda found, m=member: found.pop(m))
            assert not schema.accepts(without), (path, member)
            more = changed(comparison, path, lambda found: found.update(unknown=1))
            assert not schema.accepts(more), path

    def test_values_may_not_be_of_another_type(self, comparison):
        schema = Schema(COMPARISON)
        for path, member in members(comparison):
            for wrong in WRONG_TYPES:
                bad = changed(comparison, path,
                              lambda found, m=member, w=wrong: found.update({m: w}))
                assert not schema.accepts(bad), (path, member, wrong)

    @pytest.mark.parametrize("member, value", [
        ("verdict", "better"), ("interval", [1]), ("interval", [1, 2, 3]), ("p", 1.5)])
    def test_offenders_are_refused(self, comparison, member, value):
        path = ("workloads", 0, "modes", 0, "rows", 0, "comparison")
        bad = changed(comparison, path, lambda found: found.update({member: value}))
        assert not Schema(COMPARISON).accepts(bad)


class TestFiles:
    def test_versions_are_those_that_programs_write(self):
        """A new version of what is written is a new file, beside the old one."""
        written = set()
        for source in ("experiments/report/lab_report.hpp", "experiments/compare/compare.cpp"):
            written |= set(re.findall(r'Schema\[\] = "([^"]+)"', (ROOT / source).read_text()))
        assert written == {REPORT, COMPARISON}
        shipped = {json.loads(file.read_text())["title"]: file.name
                   for file in FOLDER.glob("*.json")}
        assert shipped == {name: f"{name.replace('/', '-')}.schema.json" for name in written}

    def test_they_are_installed(self, tmp_path):
        done = subprocess.run(
            ["cmake", "--install", requirements.build() / "experiments/schema",
             "--prefix", tmp_path],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, check=False)
        installed = tmp_path / "share/ipidefer/schema"
        assert sorted(path.name for path in installed.glob("*")) == sorted(
            path.name for path in FOLDER.glob("*.json")), done.stdout
