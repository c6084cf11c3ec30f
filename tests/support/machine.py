# SPDX-License-Identifier: GPL-2.0-or-later
"""Run QEMU with a monitor and a serial port.

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

from tests.support.children import mortal

TIMEOUT = 60.0


class Failed(Exception):
    """QEMU, QMP or the guest did not do what it should."""


def wait_until(what, done, timeout=TIMEOUT):
    """@param what: is said if it does not come true in time"""
    deadline = time.monotonic() + timeout
    while not done():
        assert time.monotonic() < deadline, f"not within {timeout:.0f} s: {what}"
        time.sleep(0.01)


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
        line = self.poll(timeout)
        if line is None:
            raise Failed(f"nothing after {timeout} s, but {self._buffer!r}")
        return line

    def poll(self, timeout):
        """@return the next line, or None if there is none in time"""
        deadline = time.monotonic() + timeout
        while b"\n" not in self._buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._socket], [], [], left)[0]:
                return None
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
    """A QEMU; kernel=None starts no guest in it."""

    def __init__(self, qemu, kernel, *args, cpus="4", accel="tcg,thread=multi",
                 machine="q35", memory="32M", environment=None):
        """@param environment: more variables for QEMU"""
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
            # QEMU waits for us: what the guest says to nobody would be lost.
            command += ["-serial", f"unix:{serial},server=on,wait=on"]
        if kernel:
            command += ["-kernel", kernel]
        command += args
        self.serial = self.qmp_stream = None
        self._events = []
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(mortal(command), stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log,
                                            env=os.environ | (environment or {}))
        try:
            self.qmp_stream = Stream(qmp, self.process)
            if machine != "none":
                self.serial = Stream(serial, self.process)
            self.qmp_stream.receive()
            self.qmp("qmp_capabilities")
            self.started()
        except Exception as error:
            text = self.output()
            self.close()
            raise Failed(f"{error}\n{text}") from error

    def started(self):
        """For subclasses: wait here until the guest answers."""

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
            self._events.append(reply["event"])

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

    def wait_event(self, name, timeout=TIMEOUT):
        """Wait for an event; those before it are forgotten."""
        deadline = time.monotonic() + timeout
        while name not in self._events:
            reply = json.loads(self.qmp_stream.receive(
                max(0, deadline - time.monotonic())))
            self._events.append(reply.get("event"))
        del self._events[:self._events.index(name) + 1]

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

    def counted(self, cpu, vector):
        """All that query-ipi-defer counts of one vector; None before it does."""
        for entry in self.defer(cpu)["counters"]:
            if entry["vector"] == vector:
                return entry
        return None

    def counters(self, cpu, vector):
        """Verdicts that are not 0."""
        return {k: v for k, v in (self.counted(cpu, vector) or {}).items()
                if v and k not in ("vector", "merged")}

    def merged(self, cpu, vector):
        """Deliveries that found the vector pending; None if nobody knows."""
        entry = self.counted(cpu, vector)
        return entry.get("merged") if entry else 0

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

    def threads(self):
        """@return {vCPU: thread}"""
        return {cpu["cpu-index"]: cpu["thread-id"]
                for cpu in self.qmp("query-cpus-fast")}

    def spread(self, *cpus):
        """Bind vCPUs to different host CPUs, as far as there are any.

        Left alone, two busy ones often share one for a whole time slice.
        """
        threads = self.threads()
        hosts = sorted(os.sched_getaffinity(0))
        for i, cpu in enumerate(cpus):
            os.sched_setaffinity(threads[cpu], {hosts[i % len(hosts)]})
