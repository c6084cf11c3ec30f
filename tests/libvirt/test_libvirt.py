#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Domains of libvirt on the patched QEMU, with a patched Linux guest.

    test_libvirt.py [-v] [CLASS[.TEST]]...

Environment: IPIDEFER_QEMU, IPIDEFER_QEMU_STOCK, IPIDEFER_KERNEL as for the other
tests; IPIDEFER_PROGRAM and IPIDEFERD, the programs. Needs libvirtd, Debian's
python3-libvirt, and two host CPUs. Status: 0 passed, 1 failed, 77 something is
missing.

The guest has three vCPUs; vCPU 2 is isolated and in userspace. It has a host CPU
to itself as far as libvirt is concerned; this host need not be isolated.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "linux"),
                os.path.join(HERE, "..", "support")]

from linux_guest import KERNEL, QEMU, ROOT, archive, missing  # noqa: E402
from machine import Stream  # noqa: E402

IPIDEFER = os.environ.get("IPIDEFER_PROGRAM", "")
IPIDEFERD = os.environ.get("IPIDEFERD", "")
STOCK = os.environ.get("IPIDEFER_QEMU_STOCK", "")
CPUS = sorted(os.sched_getaffinity(0))
ISOLATED = 2
VECTOR = 0xf5  # sync_core

try:
    import libvirt
    import libvirt_qemu

    import libvirtd as own
except ImportError as error:
    NO_LIBVIRT = str(error)
else:
    NO_LIBVIRT = ""
    # Whose QEMUs are: a user whom nobody believes unless told to.
    OWNER = str(own.NOBODY if os.geteuid() == 0 else os.geteuid())


def run(*command, status=0):
    result = subprocess.run(command, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, timeout=120,
                            check=False)
    if status is not None and result.returncode != status:
        raise AssertionError(f"{command} ended with {result.returncode}:\n"
                             f"{result.stdout}{result.stderr}")
    return result


def ipidefer(*arguments, **options):
    """The command, for whom the VMs of the libvirtd's user are VMs."""
    return run(IPIDEFER, "--owner", OWNER, *arguments, **options)


def segments():
    """Does the patched QEMU share a segment with host tools?"""
    return "segment=<" in run(QEMU, "-object", "ipi-defer,help").stdout


class Daemon:
    """ipideferd, following a libvirtd."""

    def __init__(self, folder, uri, domains=None):
        self.file = os.path.join(folder, "ipideferd.json")
        with open(self.file, "w") as out:
            json.dump({"listen": "127.0.0.1:0", "libvirt_uri": uri,
                       "owners": [OWNER], "domains": domains or {}}, out)
        self.log = os.path.join(folder, "ipideferd.log")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [IPIDEFERD, "--config", self.file], stdout=subprocess.PIPE,
                stderr=log, text=True)
        first = self.process.stdout.readline()
        self.port = first.strip().rsplit(":", 1)[-1]
        if self.process.stdout.readline() != "ready\n":
            raise AssertionError(f"not ready: {first}{self.output()}")

    def output(self):
        with open(self.log) as file:
            return file.read()

    def metrics(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics",
                                    timeout=60) as response:
            text = response.read().decode()
        return dict(line.rsplit(" ", 1) for line in text.splitlines()
                    if line and not line.startswith("#"))

    def wait_for(self, holds, what):
        try:
            own.wait_for(holds, what)
        except own.Failed as failed:
            raise own.Failed(f"{failed}\n{self.output()}") from failed

    def stop(self):
        """However a test ends."""
        self.process.kill()
        self.process.wait(60)
        self.process.stdout.close()

    def close(self):
        self.process.terminate()
        return self.process.wait(60)


class LibvirtTest(unittest.TestCase):
    """One libvirtd for a class, one domain for a test."""

    @classmethod
    def setUpClass(cls):
        cls.libvirtd = own.Libvirtd()
        cls.addClassCleanup(cls.libvirtd.close)
        folder = tempfile.mkdtemp(prefix="ipidefer-libvirt-test-")
        cls.addClassCleanup(shutil.rmtree, folder, ignore_errors=True)
        initrd = os.path.join(folder, "initrd")
        archive(initrd, ROOT)
        cls.initrd = cls.libvirtd.share(initrd)
        cls.kernel = cls.libvirtd.share(KERNEL)
        cls.qemu = cls.libvirtd.share(QEMU)

    def setUp(self):
        # Segments of all VMs lie in one folder.
        self.name = f"ipidefer-test-{os.getpid()}"
        self.folder = tempfile.mkdtemp(prefix="ipidefer-libvirt-test-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.console_path = os.path.join(self.libvirtd.run, "console")
        self.console = None

    def plain(self, name=None):
        """The XML of a domain that knows nothing of deferral."""
        with open(os.path.join(HERE, "domains", "guest.xml")) as file:
            text = file.read()
        for old, new in (("<name>guest", f"<name>{name or self.name}"),
                         ("/boot/bzImage", self.kernel),
                         ("/boot/initrd", self.initrd),
                         ("/run/console", self.console_path)):
            self.assertIn(old, text)
            text = text.replace(old, new)
        path = os.path.join(self.folder, "plain.xml")
        with open(path, "w") as out:
            out.write(text)
        return path

    def isolating(self, path, *more):
        """The same with what the command puts in, as a file."""
        made = os.path.join(self.folder, "made.xml")
        run(IPIDEFER, "domain", "--from", path, "-o", made,
            "--isolated", str(ISOLATED), "--emulator", self.qemu,
            "--host-isolated", str(CPUS[1]),
            "--host-housekeeping", str(CPUS[0]), *more)
        with open(made) as file:
            return file.read()

    def define(self, xml):
        domain = self.libvirtd.connection.defineXML(xml)

        def end():
            connection = self.libvirtd.connection
            try:
                found = connection.lookupByName(domain_name)
            except libvirt.libvirtError:
                return
            if found.isActive():
                found.destroy()
            if found.isPersistent():
                found.undefine()
        domain_name = domain.name()
        self.addCleanup(end)
        return domain

    def boot(self, domain):
        try:
            domain.create()
            self.connect_console()
            self.wait_ready()
        except Exception as error:
            raise AssertionError(
                f"{error}\n{self.libvirtd.qemu_log(domain.name())}") from error

    def connect_console(self):
        if self.console:
            self.console.close()
        self.console = Stream(self.console_path, self.libvirtd.reaper)
        self.addCleanup(self.console.close)

    def wait_ready(self):
        while "== ready 1" not in self.console.receive(240):
            pass

    def toggle(self):
        """Have the guest's kernel patch its text."""
        self.console.send("toggle")
        self.wait_ready()

    def qmp(self, domain, execute, **arguments):
        reply = json.loads(libvirt_qemu.qemuMonitorCommand(
            domain, json.dumps({"execute": execute, "arguments": arguments}),
            0))
        self.assertNotIn("error", reply)
        return reply["return"]

    def counters(self, domain):
        """Of the isolated vCPU."""
        cpu = self.qmp(domain, "query-ipi-defer")["cpus"][ISOLATED]
        self.assertEqual(cpu["cpu-index"], ISOLATED)
        for entry in cpu["counters"]:
            if entry["vector"] == VECTOR:
                return entry
        return {}

    def deferred(self, domain):
        counters = self.counters(domain)
        return counters.get("deferred", 0) + counters.get("coalesced", 0)

    def check(self, status=0, name=None):
        """Findings by name, without their common beginning."""
        result = ipidefer("check", "--domain", name or self.name,
                          "--connect", self.libvirtd.uri, "--probe", "--json",
                          status=status)
        return {finding["name"].removeprefix("domain."): finding
                for finding in json.loads(result.stdout)}

    def affinities(self, domain):
        """Host CPUs by vCPU, as the kernel has them."""
        with open(os.path.join(self.libvirtd.run, "libvirt/qemu/run",
                               f"{domain.name()}.pid")) as file:
            pid = file.read().strip()
        cpus = {}
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/comm") as file:
                vcpu = re.match(r"CPU (\d+)/", file.read())
            if vcpu:
                cpus[int(vcpu[1])] = os.sched_getaffinity(int(task))
        return cpus


class Life(LibvirtTest):
    def test_from_a_plain_domain_to_deferral(self):
        domain = self.define(self.isolating(self.plain()))
        self.boot(domain)
        self.assertEqual(self.affinities(domain),
                         {0: {CPUS[0]}, 1: {CPUS[0]}, 2: {CPUS[1]}})
        self.toggle()
        deferred = self.deferred(domain)
        self.assertGreater(deferred, 0, self.counters(domain))

        # The kill switch, by QMP: the same work, and nothing deferred.
        self.qmp(domain, "qom-set", path="/objects/defer0",
                 property="enabled", value=False)
        delivered = self.counters(domain).get("delivered-policy", 0)
        deferred = self.deferred(domain)
        self.toggle()
        self.assertEqual(self.deferred(domain), deferred)
        self.assertGreater(self.counters(domain)["delivered-policy"],
                           delivered)
        self.qmp(domain, "qom-set", path="/objects/defer0",
                 property="enabled", value=True)
        self.toggle()
        self.assertGreater(self.deferred(domain), deferred)

    def test_saved_and_restored_it_defers_again(self):
        domain = self.define(self.isolating(self.plain()))
        self.boot(domain)
        self.toggle()
        self.assertGreater(self.deferred(domain), 0)
        file = os.path.join(self.libvirtd.run, "saved")
        domain.save(file)
        self.assertFalse(domain.isActive())
        self.libvirtd.connection.restore(file)
        self.assertTrue(domain.isActive())
        cpu = self.qmp(domain, "query-ipi-defer")["cpus"][ISOLATED]
        self.assertTrue(cpu["registered"])
        self.connect_console()
        before = self.deferred(domain)
        self.toggle()
        self.assertGreater(self.deferred(domain), before)

    def test_check_of_a_running_domain(self):
        domain = self.define(self.isolating(self.plain()))
        stopped = self.check()
        self.assertNotIn("guest", stopped)
        self.boot(domain)
        findings = self.check()
        for name in ("object", "emulator", "accelerator", "vcpupin",
                     "emulatorpin", "vcpupin-others", "kernel"):
            self.assertEqual(findings[name]["grade"], "pass", findings[name])
        self.assertIn("guest", findings)
        # What libvirt changes while the domain runs is seen.
        domain.pinVcpuFlags(0, tuple(cpu == CPUS[1] for cpu in
                                     range(CPUS[1] + 1)),
                            libvirt.VIR_DOMAIN_AFFECT_LIVE)
        self.assertEqual(self.check(status=2)["vcpupin-others"]["grade"],
                         "fail")
        result = run(IPIDEFER, "check", "--domain", "nonexistent",
                     "--connect", self.libvirtd.uri, status=1)
        self.assertIn("no domain 'nonexistent'", result.stderr)

    def test_plain_domain_fails_the_check(self):
        # Some emulator, should the host have none of its own.
        with open(self.plain()) as file:
            self.define(file.read().replace(
                "<devices>", f"<devices><emulator>{self.qemu}</emulator>"))
        findings = self.check(status=2)
        self.assertEqual(findings["object"]["grade"], "fail")
        self.assertEqual(findings["vcpupin"]["grade"], "fail")

    @unittest.skipUnless(os.path.isfile(STOCK),
                         f"IPIDEFER_QEMU_STOCK is '{STOCK}'")
    def test_qemu_without_the_object(self):
        stock = self.libvirtd.share(shutil.copyfile(
            STOCK, os.path.join(self.folder, "stock")))
        result = run(IPIDEFER, "domain", "--from", self.plain(),
                     "--isolated", "2", "--emulator", stock,
                     "--host-isolated", str(CPUS[1]), status=2)
        self.assertIn("has no ipi-defer object", result.stderr)
        # If somebody insists.
        xml = self.isolating(self.plain()).replace(self.qemu, stock)
        domain = self.define(xml)
        with self.assertRaises(libvirt.libvirtError) as raised:
            domain.create()
        self.assertIn("ipi-defer", str(raised.exception))
        self.assertEqual(self.check(status=2)["emulator"]["grade"], "fail")


class Reconnect(LibvirtTest):
    """ipideferd, while libvirtd dies and comes back."""

    def test_libvirtd_that_comes_later_dies_and_comes_back(self):
        self.libvirtd.kill()
        daemon = Daemon(self.folder, self.libvirtd.uri)
        self.addCleanup(daemon.stop)

        def connected(value):
            daemon.wait_for(lambda: daemon.metrics()
                            ["ipidefer_libvirt_connected"] == value,
                            f"connected is {value}")
        connected("0")
        self.libvirtd.start()
        connected("1")
        domain = self.define(self.isolating(self.plain()))
        self.boot(domain)
        said = f"libvirt: domain '{self.name}' runs, UUID " + \
            domain.UUIDString()
        daemon.wait_for(lambda: said in daemon.output(), said)
        self.libvirtd.kill()
        connected("0")
        self.assertIn("libvirt: connection lost", daemon.output())
        self.assertNotIn("has ended", daemon.output())  # it runs on
        self.libvirtd.start()
        connected("1")
        domain = self.libvirtd.connection.lookupByName(self.name)
        self.assertTrue(domain.isActive())
        self.toggle()
        self.assertGreater(self.deferred(domain), 0)
        domain.destroy()
        ended = f"libvirt: domain '{self.name}' has ended"
        daemon.wait_for(lambda: ended in daemon.output(), ended)
        # Said once each.
        self.assertEqual(daemon.output().count(said), 1)
        self.assertEqual(daemon.close(), 0)

    def test_libvirtd_that_hangs_holds_nothing_up(self):
        daemon = Daemon(self.folder, self.libvirtd.uri)
        self.addCleanup(daemon.stop)
        daemon.wait_for(lambda: daemon.metrics()
                        ["ipidefer_libvirt_connected"] == "1", "connected")
        pid = self.libvirtd.pid("libvirtd.pid")
        os.kill(pid, 19)  # SIGSTOP
        try:
            # Found out by keepalive; scraping goes on all the time.
            daemon.wait_for(lambda: daemon.metrics()
                            ["ipidefer_libvirt_connected"] == "0",
                            "the connection is given up")
            self.assertEqual(daemon.close(), 0)
        finally:
            os.kill(pid, 18)  # SIGCONT


class Segment(LibvirtTest):
    """What needs a QEMU that shares a segment with host tools."""

    @classmethod
    def setUpClass(cls):
        if not segments():
            raise unittest.SkipTest("this QEMU shares no segment")
        super().setUpClass()

    def verdicts(self, daemon):
        """Counts of the isolated vCPU by verdict, from the metrics."""
        start = f'ipidefer_ipis_total{{domain="{self.name}",vcpu="2",' \
            'vector="sync_core",'
        counts = {}
        for series, value in daemon.metrics().items():
            if series.startswith(start):
                verdict = re.search(r'verdict="([^"]*)",reason="([^"]*)"',
                                    series)
                counts[verdict.groups()] = int(float(value))
        return counts

    def test_metrics_policy_and_check_know_the_domain(self):
        daemon = Daemon(self.folder, self.libvirtd.uri)
        self.addCleanup(daemon.stop)
        domain = self.define(self.isolating(self.plain()))
        self.boot(domain)
        info = f'ipidefer_domain_info{{domain="{self.name}",' \
            f'name="{self.name}",uuid="{domain.UUIDString()}"}}'
        daemon.wait_for(lambda: daemon.metrics().get(info) == "1", info)

        self.toggle()
        counts = self.verdicts(daemon)
        self.assertGreater(counts["deferred", ""], 0, counts)
        counters = self.counters(domain)
        self.assertEqual(counters["deferred"], counts["deferred", ""])

        findings = self.check()
        for name in "segment", "guest", "policy":
            self.assertEqual(findings[name]["grade"], "pass", findings[name])

        # The kill switch takes effect at once; the check sees it.
        ipidefer("policy", self.name, "--off")
        before = self.verdicts(daemon)
        self.toggle()
        after = self.verdicts(daemon)
        for verdict in ("deferred", ""), ("coalesced", ""):
            self.assertEqual(after[verdict], before[verdict])
        self.assertGreater(after["delivered", "policy"],
                           before["delivered", "policy"])
        self.assertEqual(self.check()["policy"]["grade"], "warn")
        ipidefer("policy", self.name, "--on")

        domain.destroy()
        daemon.wait_for(lambda: info not in daemon.metrics(),
                        "the VM is gone")
        self.assertEqual(daemon.close(), 0)

    def test_policy_of_a_domain_is_applied_when_it_starts(self):
        uuid = "5a3bd4a4-1111-4222-8333-944445555666"
        daemon = Daemon(self.folder, self.libvirtd.uri,
                        {uuid: {"max_age": "250ms", "idle": "on"}})
        self.addCleanup(daemon.stop)
        xml = self.isolating(self.plain()).replace(
            "</name>", f"</name>\n  <uuid>{uuid}</uuid>").replace(
            "segment=on", f"segment=on,segment-name={self.name}-segment")
        domain = self.define(xml)
        for _ in range(2):  # each time
            self.boot(domain)

            def policy():
                result = ipidefer("policy", f"{self.name}-segment",
                             "--json")
                return json.loads(result.stdout)
            daemon.wait_for(lambda: policy()["max_age_ns"] == 250_000_000,
                            "the policy is there")
            self.assertTrue(policy()["idle"])
            info = f'ipidefer_domain_info{{domain="{self.name}-segment",' \
                f'name="{self.name}",uuid="{uuid}"}}'
            self.assertEqual(daemon.metrics().get(info), "1")
            domain.destroy()
        self.assertEqual(daemon.close(), 0)


def not_possible():
    """Why this cannot run here, in words."""
    why = missing(IPIDEFER_PROGRAM=IPIDEFER, IPIDEFERD=IPIDEFERD)
    if NO_LIBVIRT:
        why.append(f"python3-libvirt: {NO_LIBVIRT}")
    elif not os.path.isfile(own.PROGRAM):
        why.append(f"{own.PROGRAM} is not there (libvirt-daemon)")
    if len(CPUS) < 2:
        why.append("there is one CPU, and the isolated vCPU needs its own")
    return why


if __name__ == "__main__":
    if reasons := not_possible():
        print("skipped:", "; ".join(reasons))
        sys.exit(77)
    program = unittest.main(exit=False)
    if not program.result.wasSuccessful():
        sys.exit(1)
    if program.result.testsRun == 0 or \
            len(program.result.skipped) == program.result.testsRun:
        print("skipped:", program.result.skipped)
        sys.exit(77)
