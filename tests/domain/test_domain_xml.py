# SPDX-License-Identifier: GPL-2.0-or-later
"""ipidefer domain writes XML that libvirt takes, and changes nothing in vain."""
import glob
import json
import os
import subprocess
from xml.etree import ElementTree

import pytest

from tests.support import requirements
from tests.support.requirements import ROOT

pytestmark = [pytest.mark.libvirt, pytest.mark.ctest(timeout=300)]
HERE = os.path.dirname(os.path.abspath(__file__))
DOMAINS = sorted(glob.glob(os.path.join(HERE, "domains", "*.xml")))
# Where the host has CPUs or not: the same.
HOST = ["--host-isolated", "4-7", "--host-housekeeping", "0-3", "--no-probe"]


class Xml:
    """Domains in a folder, the ipidefer command on them, and libvirt's own judges."""

    def __init__(self, folder):
        self.folder = folder
        self.program = requirements.path("IPIDEFER_CLI")
        self.validate = requirements.program("virt-xml-validate")
        self.virsh = requirements.program("virsh")

    def run(self, *arguments, **kwargs):
        environment = {k: v for k, v in os.environ.items() if k != "IPIDEFER_QEMU"}
        return subprocess.run([self.program, *arguments], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, env=environment,
                              timeout=60, check=False, **kwargs)

    def write(self, text, name="domain.xml"):
        path = os.path.join(self.folder, name)
        with open(path, "w", newline="") as out:
            out.write(text)
        return path

    def valid(self, path):
        return subprocess.run([self.validate, path, "domain"], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              check=False)

    def made(self, path, *more):
        """@return what the command makes of a domain"""
        result = self.run("domain", "--from", path, "--isolated", "2", *HOST, *more)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def libvirt_takes(self, text):
        """libvirt's own parser, in its test driver, which needs no daemon."""
        # It takes domains of its own type only; all else is parsed the same.
        path = self.write(text.replace("type='kvm'", "type='test'")
                          .replace("x86_64", "i686"), "judged.xml")
        return subprocess.run(
            [self.virsh, "-c", "test:///default", "define", path], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            check=False).returncode == 0


@pytest.fixture
def xml(tmp_path):
    return Xml(tmp_path)


def read(path):
    with open(path, newline="") as file:
        return file.read()


def domain_xml(inside="", kind="kvm", attributes="", name="a",
               machine="arch='x86_64'"):
    return (f"<domain type='{kind}'{attributes}>\n  <name>{name}</name>\n"
            f"  <memory unit='MiB'>128</memory>\n  <vcpu>4</vcpu>\n"
            f"{inside}  <os><type {machine}>hvm</type></os>\n</domain>\n")


def pinned(cpuset):
    return ("  <cputune>\n    <vcpupin vcpu='1' "
            f"cpuset='{cpuset}'/>\n  </cputune>\n")


IDS = ("  <iothreadids>\n    <iothread id='5'/>\n    <iothread id='6'/>\n"
       "  </iothreadids>\n")
IOTHREADPIN = ("  <cputune>\n    <iothreadpin iothread='1' cpuset='1'/>\n"
               "  </cputune>\n")
PLAIN = domain_xml()
# What libvirt takes or refuses, for one reason each.
JUDGED = {
    "IDs and a number": domain_xml("  <iothreads>2</iothreads>\n" + IDS),
    "IDs alone": domain_xml(IDS),
    "more than there are IDs": domain_xml("  <iothreads>4</iothreads>\n" + IDS),
    "fewer than there are IDs":
        domain_xml("  <iothreads>1</iothreads>\n" + IDS),
    "an ID twice": domain_xml(IDS.replace("6", "5")),
    "the ID 0": domain_xml(IDS.replace("6", "0")),
    "a pin for an ID": domain_xml(
        IDS + IOTHREADPIN.replace("iothread='1'", "iothread='5'")),
    "a pin for no ID": domain_xml(IDS + IOTHREADPIN),
    "a pin without iothreads": domain_xml(IOTHREADPIN),
    "a vCPU pinned twice": domain_xml(pinned("1").replace(
        "  </cputune>", "    <vcpupin vcpu='1' cpuset='2'/>\n  </cputune>")),
    "two roots": PLAIN + PLAIN,
    "text before": "Starting install...\n" + PLAIN,
    "text behind": PLAIN + "Domain creation completed.\n",
    "an attribute twice": domain_xml(attributes=" type='kvm'"),
    "an entity that nothing declares": domain_xml("  <title>&nbsp;</title>\n"),
    "a bare &": domain_xml("  <title>a & b</title>\n"),
    "a prefix that nothing declares": domain_xml("  <p:a/>\n"),
    "deep": domain_xml("<a>" * 100 + "</a>" * 100),
    "too deep": domain_xml("<a>" * 50000 + "</a>" * 50000),
    **{f"cpuset '{cpuset}'": domain_xml(pinned(cpuset)) for cpuset in (
        "1", " 60, 61,^61 ", "0 - 2 ,4,", "16383", "16384", "", " ", ",1",
        "1,,2", "0-7,^2-5", "^ 1,2", "1,^1", "N", "all", "0-3:1/2", "1 2",
        "3-1", "1,^", "^1,2", "1-", "-1", "0x1", "99999999999")},
}


class TestDomainXml:
    def test_valid_before_and_after(self, xml):
        assert len(DOMAINS) > 2
        for path in DOMAINS:
            before = xml.valid(path)
            assert before.returncode == 0, before.stdout
            text = xml.made(path, "--emulator", "/opt/qemu")
            after = xml.valid(xml.write(text))
            assert after.returncode == 0, after.stdout
            assert "ipi-defer,id=defer0,isolated-cpus=2" in text
            # And the validator is one: what is wrong, it refuses.
            broken = xml.valid(xml.write(
                text.replace("cpuset=", "cpusets=", 1)))
            assert broken.returncode != 0

    def test_libvirt_is_the_judge(self, xml):
        taken = 0
        for what, text in JUDGED.items():
            judged = xml.libvirt_takes(text)
            taken += judged
            path = xml.write(text)
            result = xml.run("domain", "--from", path, "--isolated", "2",
                             *HOST)
            checked = xml.run("check", "--domain-xml", path)
            if not judged:
                assert result.returncode == 1, result.stdout
                assert result.stdout == ""
                assert checked.returncode == 1, checked.stdout
                continue
            # A setting that is in the way is a conflict, and is read.
            assert result.returncode in (0, 2), result.stderr
            assert checked.returncode == 2, checked.stderr
            if result.returncode == 0:
                assert xml.libvirt_takes(result.stdout), result.stdout
        assert taken > 5
        assert taken < len(JUDGED) - 5

    def test_commandline_without_a_prefix_stays_the_only_one(self, xml):
        path = xml.write(domain_xml().replace(
            "</domain>", "  <commandline xmlns='http://libvirt.org/schemas/"
            "domain/qemu/1.0'>\n    <arg value='-object'/>\n    <arg value='"
            "ipi-defer,id=d,isolated-cpus=2,segment=on'/>\n"
            "  </commandline>\n</domain>"))
        before = xml.valid(path)
        assert before.returncode == 0, before.stdout
        made = xml.made(path)
        assert made.count("commandline") == 2, made
        after = xml.valid(xml.write(made))
        assert after.returncode == 0, after.stdout

    def test_deep_json_is_refused(self, xml):
        deep = ('{"qom-type":"ipi-defer","id":"d","isolated-cpus":[2],"x":'
                + "[" * 100000 + "]" * 100000 + "}")
        path = xml.write(xml.made(DOMAINS[0]).replace(
            "ipi-defer,id=defer0,isolated-cpus=2,segment=on",
            deep.replace('"', "&quot;")))
        for command in (["domain", "--from", path, *HOST],
                        ["check", "--domain-xml", path]):
            result = xml.run(*command)
            assert result.returncode == 1, result.stderr
            assert "the most is 1024" in result.stderr

    def test_unfit_domains_are_refused_with_the_reason(self, xml):
        for text, words in (
                (domain_xml(machine="arch='aarch64' machine='virt'"),
                 "arch 'aarch64'"),
                (domain_xml(machine="arch='s390x'"), "arch 's390x'"),
                (domain_xml(kind="lxc"), "share the host's kernel"),
                (domain_xml(kind="xen"), "type 'xen' is Xen"),
                (domain_xml(kind="bhyve"), "bhyve"),
                (domain_xml(kind="vmware"), "VMware"),
                (domain_xml(kind="hvf"), "QEMU with macOS"),
                (domain_xml("  <launchSecurity type='sev'>\n"
                            "    <policy>0x0003</policy>\n"
                            "  </launchSecurity>\n"), "AMD SEV"),
                (domain_xml(name="n" * 128), "128 bytes"),
                (domain_xml("  <cpu><feature policy='disable' "
                            "name='hypervisor'/></cpu>\n"),
                 "CPU feature hypervisor")):
            path = xml.write(text)
            result = xml.run("domain", "--from", path, "--isolated", "2",
                             *HOST)
            assert result.returncode == 1, result.stdout
            assert words in result.stderr
            assert result.stdout == ""
            findings = {f["name"]: f for f in json.loads(
                xml.run("check", "--domain-xml", path, "--json").stdout)}
            assert findings["domain.fitness"]["grade"] == "fail"
            assert words in findings["domain.fitness"]["what"]

    def test_lines_stay_byte_for_byte(self, xml):
        for path in DOMAINS:
            after = iter(xml.made(path).split("\n"))
            for line in read(path).split("\n"):
                if "<domain " in line or "<cmdline>" in line:
                    continue
                assert line in after  # and in this order

    def test_on_its_result_nothing_changes(self, xml):
        for path in DOMAINS:
            once = xml.made(path)
            file = xml.write(once)
            assert xml.made(file) == once
            check = xml.run("domain", "--from", file, "--check", *HOST)
            assert check.returncode == 0, check.stdout
            # In place, too.
            written = xml.run("domain", "--from", file, "-o", file, *HOST)
            assert written.returncode == 0, written.stderr
            assert read(file) == once

    def test_check_lists_and_writes_nothing(self, xml):
        for path in DOMAINS:
            before = read(path)
            check = xml.run("domain", "--from", path, "--isolated", "2",
                            "--check", "--json", *HOST)
            assert check.returncode == 2, check.stderr
            names = [c["name"] for c in json.loads(check.stdout)
                     if c["kind"] == "change"]
            assert "object" in names
            assert "vcpupin" in names
            assert read(path) == before

    def test_conflict_writes_nothing_until_it_may_replace(self, xml):
        path = xml.write(xml.made(DOMAINS[0]).replace(
            "isolated-cpus=2", "isolated-cpus=3"))
        before = read(path)
        command = ["domain", "--from", path, "-o", path, "--isolated", "2",
                   *HOST]
        result = xml.run(*command)
        assert result.returncode == 2
        assert "its isolated-cpus are 3, not 2" in result.stderr
        assert read(path) == before
        result = xml.run(*command, "--replace")
        assert result.returncode == 0, result.stderr
        assert "isolated-cpus=2" in read(path)

    def test_standard_input(self, xml):
        result = xml.run("domain", "--from", "-", "--isolated", "2", *HOST,
                         input=read(DOMAINS[0]))
        assert result.returncode == 0, result.stderr
        assert result.stdout == xml.made(DOMAINS[0])

    def test_what_is_wrong_is_said(self, xml):
        for arguments, words in (
                (["--from", "/nonexistent"], "/nonexistent"),
                (["--from", xml.write("<a>", "no.xml")], "line 1"),
                (["--from", xml.write("<network/>")], "<network>"),
                (["--from", DOMAINS[0], "--isolated", "9"], "0 to"),
                (["--from", DOMAINS[0], "--isolated", "x"], "'x'"),
                (["--from", DOMAINS[0]], "--isolated"),
                (["--from", DOMAINS[0], "--isolated", "2", "--emulator", "q"],
                 "'q'"),
                (["--from", DOMAINS[0], "--isolated", "2", "--json"],
                 "--check")):
            result = xml.run("domain", *arguments, *HOST)
            assert result.returncode == 1
            assert words in result.stderr

    def test_nothing_that_the_xml_names_is_run_unless_asked(self, xml):
        trace = os.path.join(xml.folder, "it-ran")
        emulator = xml.write(f"#!/bin/sh\n: >'{trace}'\n", "emulator")
        os.chmod(emulator, 0o755)
        path = xml.write(xml.made(DOMAINS[-1]))
        root = ElementTree.parse(path).getroot()
        path = xml.write(read(path).replace(
            f">{root.findtext('devices/emulator')}<", f">{emulator}<"))
        host = [o for o in HOST if o != "--no-probe"]
        hook = str(ROOT / "host/share/libvirt-hook-qemu")
        for command in (["check", "--domain-xml", path],
                        ["check", "--domain-xml", path, "--json"],
                        ["domain", "--from", path, "--check", *host],
                        ["domain", "--from", path, "--no-probe", "--emulator",
                         emulator, "--check", *host],
                        [hook, "web1", "prepare", "begin", "-"]):
            if command[0] == hook:
                with open(path, encoding="utf-8") as file:
                    subprocess.run(
                        command, stdin=file, check=False,
                        stderr=subprocess.DEVNULL,
                        env=os.environ | {"IPIDEFER_PROGRAM": xml.program})
            else:
                result = xml.run(*command)
                assert result.returncode in (0, 2), result.stderr
            assert not os.path.exists(trace), "the emulator ran"
        for command in (["check", "--domain-xml", path, "--probe"],
                        ["domain", "--from", path, "--probe", *host],
                        ["domain", "--from", path, "--emulator", emulator,
                         *host]):
            xml.run(*command)
            assert os.path.exists(trace), "it was not asked"
            os.remove(trace)

    def test_check_of_a_file(self, xml):
        path = xml.write(xml.made(DOMAINS[-1], "--emulator", "/bin/true"))
        findings = {f["name"]: f for f in json.loads(
            xml.run("check", "--domain-xml", path, "--probe", "--json").stdout)}
        # Something that runs and is no QEMU.
        assert findings["domain.emulator"]["grade"] == "fail"
        assert findings["domain.object"]["grade"] == "pass"
        assert findings["domain.vcpupin"]["grade"] == "pass"
        for finding in findings.values():
            # What was not looked at needs none either.
            assert (finding["remedy"] == "") == (finding["grade"] in ("pass", "skip")), finding
        plain = xml.run("check", "--domain-xml", DOMAINS[0])
        assert plain.returncode == 2
        assert "there is no ipi-defer object; remedy: ipidefer domain" in plain.stdout
