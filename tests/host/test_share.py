# SPDX-License-Identifier: GPL-2.0-or-later
"""The files that are installed beside the programs: configuration, dashboard, libvirt's
hook, completion."""
import json
import os
import re
import subprocess

import pytest

from tests.support import requirements
from tests.support.requirements import ROOT

pytestmark = pytest.mark.unit
SHARE = ROOT / "host/share"


@pytest.fixture
def ipidefer():
    return requirements.path("IPIDEFER_CLI")


def accepted(configuration):
    """Whether ipideferd takes a file for its configuration."""
    return subprocess.run([requirements.path("IPIDEFERD"), "--check", "--config",
                           configuration], stdin=subprocess.DEVNULL, check=False,
                          stderr=subprocess.PIPE).returncode == 0


def test_configuration_is_accepted():
    assert accepted(SHARE / "ipideferd.json")
    # The control: it does not take anything.
    assert not accepted(SHARE / "grafana-dashboard.json")


def test_every_metric_of_the_dashboard_is_one_that_the_daemon_has():
    dashboard = json.loads((SHARE / "grafana-dashboard.json").read_text())
    known = set(re.findall(r'"(ipidefer_[a-z_]+)"',
                           (ROOT / "host/daemon/metrics.cpp").read_text()))
    expressions = [t["expr"] for p in dashboard["panels"] for t in p["targets"]]
    expressions += [v["query"] for v in dashboard["templating"]["list"]]
    used = set(re.findall(r"ipidefer_[a-z_]+", " ".join(expressions)))
    assert known
    assert used
    assert used <= known


# -- libvirt's hook: refuses what fails, minds nothing else, and says why ----------

PINNED = "<cputune><vcpupin vcpu='1' cpuset='0'/></cputune>"


def domain(inside, argument):
    return (f"""<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
<name>web1</name><vcpu>2</vcpu>{inside}<qemu:commandline><qemu:arg value='-object'/>
<qemu:arg value='{argument}'/></qemu:commandline></domain>
""")


def hook(program, xml, *event):
    """@return whether it lets the domain go on, and what it says"""
    done = subprocess.run([SHARE / "libvirt-hook-qemu", "web1", *event], input=xml,
                          stderr=subprocess.PIPE, text=True, check=False,
                          env=os.environ | {"IPIDEFER_PROGRAM": program})
    return done.returncode == 0, done.stderr


def test_hook_takes_a_domain_that_is_pinned(ipidefer):
    assert hook(ipidefer, domain(PINNED, "ipi-defer,isolated-cpus=1"), "prepare", "begin",
                "-")[0]


def test_hook_refuses_one_without_pins_and_says_why(ipidefer):
    goes_on, said = hook(ipidefer, domain("", "ipi-defer,isolated-cpus=1"), "prepare",
                         "begin", "-")
    assert not goes_on
    assert "web1: not fit" in said
    assert re.search("^fail  domain.vcpupin", said, re.MULTILINE)


def test_hook_minds_nothing_else(ipidefer):
    # The end, and other domains.
    assert hook(ipidefer, domain("", "ipi-defer,isolated-cpus=1"), "release", "end",
                "-")[0]
    assert hook(ipidefer, domain("", "can-bus,id=x"), "prepare", "begin", "-")[0]


def test_hook_starts_nothing_unchecked():
    assert not hook("/nonexistent", domain("", "ipi-defer"), "prepare", "begin", "-")[0]


# -- completion -------------------------------------------------------------------

COMPLETE = f"""\
. {SHARE}/ipidefer.bash
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
_ipidefer
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def complete(tmp_path):
    """complete(WORD...) is what the last word may become. There are VMs, and a file that
    is none."""
    for name in "ipidefer.web1~00000001", "ipidefer.a%20b%FF~00000001", "ipidefer.other":
        (tmp_path / name).touch()

    def completions(*words):
        done = subprocess.run(["bash", "-c", COMPLETE, "bash", *words],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                              check=True, env=os.environ | {
                                  "IPIDEFER_SHM_DIR": str(tmp_path)})
        return done.stdout.split("\n")[:-1] if done.stdout.strip() else []
    return completions


def test_completion_of_words(complete):
    for words, expected in (
            (("ipidefer", "po"), ["policy"]),
            (("ipidefer", "bench", "k"), ["kvm"]),
            (("ipidefer", "bench", "kvm", "--r"), ["--rounds"]),
            (("ipidefer", "lab", "k"), ["kvm", "kvm-report"]),
            (("ipidefer", "lab", "run", "--irqchip", ""), ["on", "split"]),
            (("ipidefer", "lab", "compare", "--across", ""), ["kernel", "qemu", "accelerator"]),
            (("ipidefer", "lab", "run", "--modes", ""), ["off", "guest", "hv", "kvm"]),
            (("ipidefer", "policy", "web1", "--id"), ["--idle"]),
            (("ipidefer", "policy", "web1", "--idle", "o"), ["on", "off"]),
            (("ipidefer", "trace", "web1", "-e", "ipi_s"), ["ipi_send"])):
        assert complete(*words) == expected


def test_completion_of_vms(complete, ipidefer, tmp_path):
    blank = r"a\ b%FF"
    assert complete(ipidefer, "policy", "w") == ["web1"]
    assert complete(ipidefer, "policy", "a") == [blank]
    # Half a name with a blank.
    assert complete(ipidefer, "policy", r"a\ ") == [blank]
    assert complete(ipidefer, "stat", "") == [blank, "web1"]
    (tmp_path / "empty").mkdir()
    assert complete(ipidefer, "--shm-dir", str(tmp_path / "empty"), "stat", "") == []


def help_of(ipidefer, words):
    return subprocess.run([ipidefer, *words, "--help"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, text=True, check=True).stdout


def commands_of(ipidefer, *words):
    """Those below a command."""
    _, _, commands = help_of(ipidefer, words).partition("\nSubcommands:")
    return re.findall(r"^  ([a-z-]+) ", commands, re.MULTILINE)


def test_completion_of_every_command_that_there_is(complete, ipidefer):
    for words in (), ("lab",), ("bench",):
        commands = commands_of(ipidefer, *words)
        assert commands
        assert sorted(complete("ipidefer", *words, "")) == sorted(commands)


@pytest.mark.parametrize("command", ("lab", "bench"))
def test_completion_of_every_option_of_programs_of_their_own(complete, ipidefer, command):
    for part in commands_of(ipidefer, command):
        options = re.findall(r"^ +(?:-\w,)?(--[a-z][a-z-]*)",
                             help_of(ipidefer, [command, part]), re.MULTILINE)
        assert options
        assert sorted(complete("ipidefer", command, part, "--")) == sorted(options), part
