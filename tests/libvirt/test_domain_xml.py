#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""ipidefer domain writes XML that libvirt takes, and changes nothing in vain.

    test_domain_xml.py [-v] [CLASS[.TEST]]...

Environment: IPIDEFER_PROGRAM, the ipidefer command. Needs virt-xml-validate.
Status: 0 passed, 1 failed, 77 something is missing.
"""
import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from xml.etree import ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
IPIDEFER = os.environ.get("IPIDEFER_PROGRAM", "")
VALIDATE = shutil.which("virt-xml-validate")
VIRSH = shutil.which("virsh")
DOMAINS = sorted(glob.glob(os.path.join(HERE, "domains", "*.xml")))
# Where the host has CPUs or not: the same.
HOST = ["--host-isolated", "4-7", "--host-housekeeping", "0-3", "--no-probe"]


def run(*arguments, **kwargs):
    environment = {k: v for k, v in os.environ.items() if k != "IPIDEFER_QEMU"}
    return subprocess.run([IPIDEFER, *arguments], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, env=environment,
                          timeout=60, check=False, **kwargs)


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


class DomainXml(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="ipidefer-xml-")
        self.addCleanup(shutil.rmtree, self.folder)

    def write(self, text, name="domain.xml"):
        path = os.path.join(self.folder, name)
        with open(path, "w", newline="") as out:
            out.write(text)
        return path

    def valid(self, path):
        return subprocess.run([VALIDATE, path, "domain"], text=True,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False)

    def made(self, path, *more):
        result = run("domain", "--from", path, "--isolated", "2", *HOST, *more)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def test_valid_before_and_after(self):
        self.assertGreater(len(DOMAINS), 2)
        for path in DOMAINS:
            with self.subTest(path):
                before = self.valid(path)
                self.assertEqual(before.returncode, 0, before.stdout)
                text = self.made(path, "--emulator", "/opt/qemu")
                after = self.valid(self.write(text))
                self.assertEqual(after.returncode, 0, after.stdout)
                self.assertIn("ipi-defer,id=defer0,isolated-cpus=2", text)
                # And the validator is one: what is wrong, it refuses.
                broken = self.valid(self.write(
                    text.replace("cpuset=", "cpusets=", 1)))
                self.assertNotEqual(broken.returncode, 0)

    def libvirt_takes(self, text):
        """libvirt's own parser, in its test driver, which needs no daemon."""
        # It takes domains of its own type only; all else is parsed the same.
        path = self.write(text.replace("type='kvm'", "type='test'")
                          .replace("x86_64", "i686"), "judged.xml")
        return subprocess.run(
            [VIRSH, "-c", "test:///default", "define", path], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            check=False).returncode == 0

    def test_libvirt_is_the_judge(self):
        taken = 0
        for what, text in JUDGED.items():
            with self.subTest(what):
                judged = self.libvirt_takes(text)
                taken += judged
                path = self.write(text)
                result = run("domain", "--from", path, "--isolated", "2",
                             *HOST)
                checked = run("check", "--domain-xml", path)
                if not judged:
                    self.assertEqual(result.returncode, 1, result.stdout)
                    self.assertEqual(result.stdout, "")
                    self.assertEqual(checked.returncode, 1, checked.stdout)
                    continue
                # A setting that is in the way is a conflict, and is read.
                self.assertIn(result.returncode, (0, 2), result.stderr)
                self.assertEqual(checked.returncode, 2, checked.stderr)
                if result.returncode == 0:
                    self.assertTrue(self.libvirt_takes(result.stdout),
                                    result.stdout)
        self.assertGreater(taken, 5)
        self.assertLess(taken, len(JUDGED) - 5)

    def test_commandline_without_a_prefix_stays_the_only_one(self):
        path = self.write(domain_xml().replace(
            "</domain>", "  <commandline xmlns='http://libvirt.org/schemas/"
            "domain/qemu/1.0'>\n    <arg value='-object'/>\n    <arg value='"
            "ipi-defer,id=d,isolated-cpus=2,segment=on'/>\n"
            "  </commandline>\n</domain>"))
        before = self.valid(path)
        self.assertEqual(before.returncode, 0, before.stdout)
        made = self.made(path)
        self.assertEqual(made.count("commandline"), 2, made)
        after = self.valid(self.write(made))
        self.assertEqual(after.returncode, 0, after.stdout)

    def test_deep_json_is_refused(self):
        deep = ('{"qom-type":"ipi-defer","id":"d","isolated-cpus":[2],"x":'
                + "[" * 100000 + "]" * 100000 + "}")
        path = self.write(self.made(DOMAINS[0]).replace(
            "ipi-defer,id=defer0,isolated-cpus=2,segment=on",
            deep.replace('"', "&quot;")))
        for command in (["domain", "--from", path, *HOST],
                        ["check", "--domain-xml", path]):
            with self.subTest(command[0]):
                result = run(*command)
                self.assertEqual(result.returncode, 1, result.stderr)
                self.assertIn("the most is 1024", result.stderr)

    def test_unfit_domains_are_refused_with_the_reason(self):
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
            with self.subTest(words):
                path = self.write(text)
                result = run("domain", "--from", path, "--isolated", "2",
                             *HOST)
                self.assertEqual(result.returncode, 1, result.stdout)
                self.assertIn(words, result.stderr)
                self.assertEqual(result.stdout, "")
                findings = {f["name"]: f for f in json.loads(
                    run("check", "--domain-xml", path, "--json").stdout)}
                self.assertEqual(findings["domain.fitness"]["grade"], "fail")
                self.assertIn(words, findings["domain.fitness"]["what"])

    def test_lines_stay_byte_for_byte(self):
        for path in DOMAINS:
            with self.subTest(path):
                after = iter(self.made(path).split("\n"))
                for line in read(path).split("\n"):
                    if "<domain " in line or "<cmdline>" in line:
                        continue
                    self.assertIn(line, after)  # and in this order

    def test_on_its_result_nothing_changes(self):
        for path in DOMAINS:
            with self.subTest(path):
                once = self.made(path)
                file = self.write(once)
                self.assertEqual(self.made(file), once)
                check = run("domain", "--from", file, "--check", *HOST)
                self.assertEqual(check.returncode, 0, check.stdout)
                # In place, too.
                written = run("domain", "--from", file, "-o", file, *HOST)
                self.assertEqual(written.returncode, 0, written.stderr)
                self.assertEqual(read(file), once)

    def test_check_lists_and_writes_nothing(self):
        for path in DOMAINS:
            with self.subTest(path):
                before = read(path)
                check = run("domain", "--from", path, "--isolated", "2",
                            "--check", "--json", *HOST)
                self.assertEqual(check.returncode, 2, check.stderr)
                names = [c["name"] for c in json.loads(check.stdout)
                         if c["kind"] == "change"]
                self.assertIn("object", names)
                self.assertIn("vcpupin", names)
                self.assertEqual(read(path), before)

    def test_conflict_writes_nothing_until_it_may_replace(self):
        path = self.write(self.made(DOMAINS[0]).replace(
            "isolated-cpus=2", "isolated-cpus=3"))
        before = read(path)
        command = ["domain", "--from", path, "-o", path, "--isolated", "2",
                   *HOST]
        result = run(*command)
        self.assertEqual(result.returncode, 2)
        self.assertIn("its isolated-cpus are 3, not 2", result.stderr)
        self.assertEqual(read(path), before)
        result = run(*command, "--replace")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("isolated-cpus=2", read(path))

    def test_standard_input(self):
        result = run("domain", "--from", "-", "--isolated", "2", *HOST,
                     input=read(DOMAINS[0]))
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stdout, self.made(DOMAINS[0]))

    def test_what_is_wrong_is_said(self):
        for arguments, words in (
                (["--from", "/nonexistent"], "/nonexistent"),
                (["--from", self.write("<a>", "no.xml")], "line 1"),
                (["--from", self.write("<network/>")], "<network>"),
                (["--from", DOMAINS[0], "--isolated", "9"], "0 to"),
                (["--from", DOMAINS[0], "--isolated", "x"], "'x'"),
                (["--from", DOMAINS[0]], "--isolated"),
                (["--from", DOMAINS[0], "--isolated", "2", "--emulator", "q"],
                 "'q'"),
                (["--from", DOMAINS[0], "--isolated", "2", "--json"],
                 "--check")):
            with self.subTest(arguments):
                result = run("domain", *arguments, *HOST)
                self.assertEqual(result.returncode, 1)
                self.assertIn(words, result.stderr)

    def test_nothing_that_the_xml_names_is_run_unless_asked(self):
        trace = os.path.join(self.folder, "it-ran")
        emulator = self.write(f"#!/bin/sh\n: >'{trace}'\n", "emulator")
        os.chmod(emulator, 0o755)
        path = self.write(self.made(DOMAINS[-1]))
        root = ElementTree.parse(path).getroot()
        path = self.write(read(path).replace(
            f">{root.findtext('devices/emulator')}<", f">{emulator}<"))
        host = [o for o in HOST if o != "--no-probe"]
        hook = os.path.join(HERE, "../../host/share/libvirt-hook-qemu")
        for command in (["check", "--domain-xml", path],
                        ["check", "--domain-xml", path, "--json"],
                        ["domain", "--from", path, "--check", *host],
                        ["domain", "--from", path, "--no-probe", "--emulator",
                         emulator, "--check", *host],
                        [hook, "web1", "prepare", "begin", "-"]):
            with self.subTest(command):
                if command[0] == hook:
                    with open(path, encoding="utf-8") as xml:
                        subprocess.run(
                            command, stdin=xml, check=False,
                            stderr=subprocess.DEVNULL,
                            env=os.environ | {"IPIDEFER_PROGRAM": IPIDEFER})
                else:
                    result = run(*command)
                    self.assertIn(result.returncode, (0, 2), result.stderr)
                self.assertFalse(os.path.exists(trace), "the emulator ran")
        for command in (["check", "--domain-xml", path, "--probe"],
                        ["domain", "--from", path, "--probe", *host],
                        ["domain", "--from", path, "--emulator", emulator,
                         *host]):
            with self.subTest(command):
                run(*command)
                self.assertTrue(os.path.exists(trace), "it was not asked")
                os.remove(trace)

    def test_check_of_a_file(self):
        path = self.write(self.made(DOMAINS[-1], "--emulator", "/bin/true"))
        findings = {f["name"]: f for f in json.loads(
            run("check", "--domain-xml", path, "--probe", "--json").stdout)}
        # Something that runs and is no QEMU.
        self.assertEqual(findings["domain.emulator"]["grade"], "fail")
        self.assertEqual(findings["domain.object"]["grade"], "pass")
        self.assertEqual(findings["domain.vcpupin"]["grade"], "pass")
        for finding in findings.values():
            self.assertEqual(finding["remedy"] == "",
                             finding["grade"] == "pass", finding)
        plain = run("check", "--domain-xml", DOMAINS[0])
        self.assertEqual(plain.returncode, 2)
        self.assertIn("there is no ipi-defer object; remedy: ipidefer domain",
                      plain.stdout)


if __name__ == "__main__":
    if not os.path.isfile(IPIDEFER):
        print(f"skipped: IPIDEFER_PROGRAM is '{IPIDEFER}', which is not there")
        sys.exit(77)
    if not VALIDATE or not VIRSH:
        print("skipped: there is no virt-xml-validate or no virsh "
              "(libvirt-clients)")
        sys.exit(77)
    unittest.main()
