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
    if not VALIDATE:
        print("skipped: there is no virt-xml-validate (libvirt-clients)")
        sys.exit(77)
    unittest.main()
