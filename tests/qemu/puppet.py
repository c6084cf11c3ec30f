# SPDX-License-Identifier: GPL-2.0-or-later
"""Drive the test guest (guest/puppet.c) under QEMU, over QMP and a serial port.

Every wait is bounded. A Machine is a context manager, and leaving it ends
QEMU. Python's standard library only.
"""
import json
import os
import select
import shutil
import socket
import subprocess
import tempfile
import time

TIMEOUT = 60.0


class Refused(Exception):
    """The guest got #GP."""


class Failed(Exception):
    """QEMU, QMP or the guest did not do what it should."""


class Stream:
    """Lines over a Unix socket that QEMU listens on."""

    def __init__(self, path, process):
        self._process = process
        self._buffer = b""
        deadline = time.monotonic() + TIMEOUT
        while True:
            self._socket = socket.socket(socket.AF_UNIX)
            try:
                self._socket.connect(path)
                return
            except OSError:
                self._socket.close()
                if process.poll() is not None:
                    raise Failed(f"QEMU ended with status {process.returncode}")
                if time.monotonic() > deadline:
                    raise Failed(f"QEMU does not listen on {path}")
                time.sleep(0.01)

    def send(self, line):
        try:
            self._socket.sendall(line.encode() + b"\n")
        except OSError as error:
            raise Failed(f"sending to QEMU: {error}") from error

    def receive(self, timeout=TIMEOUT):
        deadline = time.monotonic() + timeout
        while b"\n" not in self._buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._socket], [], [], left)[0]:
                raise Failed(f"nothing after {timeout} s, but {self._buffer!r}")
            try:
                data = self._socket.recv(65536)
            except OSError as error:
                raise Failed(f"receiving from QEMU: {error}") from error
            if not data:
                raise Failed("QEMU closed the connection")
            self._buffer += data
        line, self._buffer = self._buffer.split(b"\n", 1)
        return line.decode()

    def close(self):
        self._socket.close()


class Machine:
    """A QEMU with the puppet in it; guest=None starts none."""

    def __init__(self, qemu, guest, *args, cpus="4", accel="tcg,thread=multi",
                 machine="q35", memory="32M", boot=True, serve=True):
        self.directory = tempfile.mkdtemp(prefix="ipidefer-qemu-")
        self.log = os.path.join(self.directory, "log")
        qmp = os.path.join(self.directory, "qmp")
        serial = os.path.join(self.directory, "serial")
        command = [qemu, "-L", "/usr/share/seabios", "-L", "/usr/share/qemu",
                   "-nodefaults", "-no-user-config", "-display", "none",
                   "-machine", machine, "-accel", accel, "-smp", cpus,
                   "-m", memory,
                   "-qmp", f"unix:{qmp},server=on,wait=off"]
        if machine != "none":
            command += ["-serial", f"unix:{serial},server=on,wait=off"]
        if guest:
            command += ["-kernel", guest]
        command += args
        self.serial = self.qmp_stream = None
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)
        try:
            self.qmp_stream = Stream(qmp, self.process)
            self.qmp_stream.receive()
            self.qmp("qmp_capabilities")
            if machine != "none":
                self.serial = Stream(serial, self.process)
            if guest and boot:
                self.wait_ready()
        except Exception as error:
            text = self.output()
            self.close()
            raise Failed(f"{error}\n{text}") from error

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def output(self):
        with open(self.log, errors="replace") as log:
            return log.read()

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(TIMEOUT)
        for stream in self.serial, self.qmp_stream:
            if stream:
                stream.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def maps(self, path):
        """Does QEMU have this file in its memory?"""
        with open(f"/proc/{self.process.pid}/maps") as maps:
            return any(line.rstrip("\n").endswith(path) for line in maps)

    # -- QMP ----------------------------------------------------------------

    def qmp_reply(self, execute, **arguments):
        """The whole reply, an error too."""
        arguments = {k.replace("_", "-"): v for k, v in arguments.items()}
        self.qmp_stream.send(json.dumps({"execute": execute,
                                         "arguments": arguments}))
        while True:
            reply = json.loads(self.qmp_stream.receive())
            if "event" not in reply:
                return reply

    def qmp(self, execute, **arguments):
        reply = self.qmp_reply(execute, **arguments)
        if "error" in reply:
            raise Failed(f"{execute}: {reply['error']['desc']}")
        return reply["return"]

    def qmp_error(self, execute, **arguments):
        reply = self.qmp_reply(execute, **arguments)
        if "error" not in reply:
            raise Failed(f"{execute} {arguments} was not refused")
        return reply["error"]["desc"]

    def hmp(self, line):
        return self.qmp("human-monitor-command", command_line=line)

    def set(self, name, value):
        self.qmp("qom-set", path="/objects/d0", property=name, value=value)

    def get(self, name):
        return self.qmp("qom-get", path="/objects/d0", property=name)

    def defer(self, cpu):
        """What query-ipi-defer says of one vCPU."""
        entry = self.qmp("query-ipi-defer")["cpus"][cpu]
        assert entry["cpu-index"] == cpu
        return entry

    def counters(self, cpu, vector):
        """Verdicts that are not 0."""
        for entry in self.defer(cpu)["counters"]:
            if entry["vector"] == vector:
                return {k: v for k, v in entry.items()
                        if v and k != "vector"}
        return {}

    def wait_migrated(self):
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline:
            info = self.qmp("query-migrate")
            if info.get("status") == "completed":
                return
            if info.get("status") in ("failed", "cancelled"):
                raise Failed(f"migration {info}")
            time.sleep(0.02)
        raise Failed("migration does not end")

    def spread(self, *cpus):
        """Bind vCPUs to different host CPUs, as far as there are any.

        Left alone, two busy ones often share one for a whole time slice.
        """
        threads = {c["cpu-index"]: c["thread-id"]
                   for c in self.qmp("query-cpus-fast")}
        hosts = sorted(os.sched_getaffinity(0))
        for i, cpu in enumerate(cpus):
            os.sched_setaffinity(threads[cpu], {hosts[i % len(hosts)]})

    # -- The guest ----------------------------------------------------------

    def wait_ready(self):
        deadline = time.monotonic() + TIMEOUT
        while not self.serial.receive(
                max(0, deadline - time.monotonic())).endswith("ready"):
            pass

    def online_cpus(self):
        return len([c for c in self.qmp("query-cpus-fast")])

    def tell(self, cpu, op, *args):
        """Run an operation on a CPU of the guest; a list of numbers."""
        words = [f"{cpu:x}", op] + [f"{a:x}" for a in args]
        deadline = time.monotonic() + TIMEOUT
        while True:
            self.serial.send(" ".join(words))
            reply = self.serial.receive()
            # A CPU that is still coming up.
            if reply != "? CPU is not running" or time.monotonic() > deadline:
                break
            time.sleep(0.01)
        if reply == "gp":
            raise Refused(" ".join(words))
        if not reply.startswith("="):
            raise Failed(f"{' '.join(words)}: {reply}")
        return [int(w, 16) for w in reply.split()[1:]]

    def cpuid(self, leaf, sub=0, cpu=0):
        return self.tell(cpu, "cpuid", leaf, sub)

    def rdmsr(self, cpu, msr):
        high, low = self.tell(cpu, "rdmsr", msr)
        return high << 32 | low

    def wrmsr(self, cpu, msr, value):
        self.tell(cpu, "wrmsr", msr, value >> 32, value & 0xffffffff)

    def r32(self, address, cpu=0):
        return self.tell(cpu, "r32", address)[0]

    def w32(self, address, value, cpu=0):
        self.tell(cpu, "w32", address, value)

    def write(self, address, data):
        """Bytes into guest memory, by the first CPU, a word at a time."""
        data += bytes(-len(data) % 4)
        for i in range(0, len(data), 4):
            self.w32(address + i, int.from_bytes(data[i:i + 4], "little"))

    def taken(self, cpu, vector):
        """Interrupts of a vector that a CPU took.

        The answer comes from the CPU itself, which takes what is pending
        before it looks at the command: anything sent before this call has
        been counted.
        """
        return self.tell(cpu, "taken", vector)[0]
