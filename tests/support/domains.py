# SPDX-License-Identifier: GPL-2.0-or-later
"""Domains of libvirt on the patched QEMU, with a patched Linux guest.

The guest has three vCPUs; vCPU 2 is isolated and in userspace. It has a host CPU
to itself as far as libvirt is concerned; this host need not be isolated.
"""
import json
import os
import re
import subprocess
import urllib.request

from tests.support import libvirtd as own
from tests.support import requirements
from tests.support.machine import Stream, wait_until

GUEST = requirements.ROOT / "tests/domain/domains/guest.xml"
ISOLATED = 2
VECTOR = 0xf5  # sync_core
# Without an MSR that some nested KVMs offer, and then refuse to set.
HOST_CPU = ("<cpu mode='host-passthrough' check='none'>"
            "<feature policy='disable' name='arch-capabilities'/></cpu>")


def run(*command, status=0):
    result = subprocess.run(command, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, timeout=120,
                            check=False)
    if status is not None and result.returncode != status:
        raise AssertionError(f"{command} ended with {result.returncode}:\n"
                             f"{result.stdout}{result.stderr}")
    return result


class Daemon:
    """ipideferd, following a libvirtd."""

    def __init__(self, program, folder, libvirtd, domains=None):
        self.file = os.path.join(folder, "ipideferd.json")
        with open(self.file, "w") as out:
            json.dump({"listen": "127.0.0.1:0", "libvirt_uri": libvirtd.uri,
                       "owners": [str(libvirtd.user)], "domains": domains or {}}, out)
        self.log = os.path.join(folder, "ipideferd.log")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [program, "--config", self.file], stdout=subprocess.PIPE,
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

    def wait_until(self, what, done):
        try:
            wait_until(what, done, own.TIMEOUT)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.output()}") from error

    def stop(self):
        """However a test ends."""
        self.process.kill()
        self.process.wait(60)
        self.process.stdout.close()

    def close(self):
        self.process.terminate()
        return self.process.wait(60)


class Domains:
    """What a test does with domains on a libvirtd, for its time."""

    def __init__(self, shared, folder, cpus, cleanup, kvm=False):
        self.libvirtd, self.kernel, self.initrd, self.qemu = (
            shared.libvirtd, shared.kernel, shared.initrd, shared.qemu)
        self.libvirt = self.libvirtd.libvirt
        self.libvirt_qemu = requirements.module("libvirt_qemu", "python3-libvirt")
        self.program = requirements.path("IPIDEFER_CLI")
        self.folder, self.cpus, self.cleanup = folder, cpus, cleanup
        self.kvm = kvm
        # Segments of all VMs lie in one folder.
        self.name = f"ipidefer-test-{os.getpid()}"
        self.console_path = os.path.join(self.libvirtd.run, "console")
        self.console = None

    def ipidefer(self, *arguments, **options):
        """The command, for whom the VMs of the libvirtd's user are VMs."""
        return run(self.program, "--owner", str(self.libvirtd.user), *arguments, **options)

    def daemon(self, domains=None):
        """@return an ipideferd that ends with the test, if not before"""
        daemon = Daemon(requirements.path("IPIDEFERD"), self.folder, self.libvirtd,
                        domains)
        self.cleanup(daemon.stop)
        return daemon

    def plain(self, name=None):
        """The XML of a domain that knows nothing of deferral."""
        with open(GUEST) as file:
            text = file.read()
        if self.kvm:
            text = re.sub("<cpu .*?</cpu>", HOST_CPU, text, flags=re.DOTALL)
            text = text.replace("type='qemu'", "type='kvm'")
        for old, new in (("<name>guest", f"<name>{name or self.name}"),
                         ("/boot/bzImage", self.kernel),
                         ("/boot/initrd", self.initrd),
                         ("/run/console", self.console_path)):
            assert old in text
            text = text.replace(old, new)
        path = os.path.join(self.folder, "plain.xml")
        with open(path, "w") as out:
            out.write(text)
        return path

    def isolating(self, path, *more):
        """The same with what the command puts in, as a file."""
        made = os.path.join(self.folder, "made.xml")
        run(self.program, "domain", "--from", path, "-o", made,
            "--isolated", str(ISOLATED), "--emulator", self.qemu,
            "--host-isolated", str(self.cpus[1]),
            "--host-housekeeping", str(self.cpus[0]), *more)
        with open(made) as file:
            return file.read()

    def define(self, xml):
        domain = self.libvirtd.connection.defineXML(xml)

        def end():
            connection = self.libvirtd.connection
            try:
                found = connection.lookupByName(domain_name)
            except self.libvirt.libvirtError:
                return
            if found.isActive():
                found.destroy()
            if found.isPersistent():
                found.undefine()
        domain_name = domain.name()
        self.cleanup(end)
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
        self.cleanup(self.console.close)

    def wait_ready(self):
        while "== ready 1" not in self.console.receive(240):
            pass

    def toggle(self):
        """Have the guest's kernel patch its text."""
        self.console.send("toggle")
        self.wait_ready()

    def qmp(self, domain, execute, **arguments):
        reply = json.loads(self.libvirt_qemu.qemuMonitorCommand(
            domain, json.dumps({"execute": execute, "arguments": arguments}),
            0))
        assert "error" not in reply
        return reply["return"]

    def counters(self, domain):
        """Of the isolated vCPU."""
        cpu = self.qmp(domain, "query-ipi-defer")["cpus"][ISOLATED]
        assert cpu["cpu-index"] == ISOLATED
        for entry in cpu["counters"]:
            if entry["vector"] == VECTOR:
                return entry
        return {}

    def deferred(self, domain):
        counters = self.counters(domain)
        return counters.get("deferred", 0) + counters.get("coalesced", 0)

    def check(self, status=0, name=None):
        """Findings by name, without their common beginning."""
        result = self.ipidefer("check", "--domain", name or self.name,
                               "--connect", self.libvirtd.uri, "--probe", "--json",
                               status=status)
        return {finding["name"].removeprefix("domain."): finding
                for finding in json.loads(result.stdout)}

    def affinities(self, domain):
        """Host CPUs by vCPU, as the kernel has them."""
        with open(os.path.join(self.libvirtd.pids(), f"{domain.name()}.pid")) as file:
            pid = file.read().strip()
        cpus = {}
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/comm") as file:
                vcpu = re.match(r"CPU (\d+)/", file.read())
            if vcpu:
                cpus[int(vcpu[1])] = os.sched_getaffinity(int(task))
        return cpus
