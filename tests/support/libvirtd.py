# SPDX-License-Identifier: GPL-2.0-or-later
"""A libvirtd of a test's own, without systemd.

Libvirtd is a session daemon, without privileges and in private folders. As root would
always get the system's, root starts it as nobody. SystemLibvirtd is the system's, whose
folders are the machine's: for the box only.
"""
import contextlib
import errno
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile

from tests.support import requirements
from tests.support.machine import Failed, wait_until

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAM = "/usr/sbin/libvirtd"
TIMEOUT = 120.0
NOBODY = 65534
# Debian's, of a package that starts the daemon, and that tests do not need.
SYSTEM_USER = "libvirt-qemu"


def runs(pid):
    try:
        os.kill(pid, 0)
    except OSError as error:
        return error.errno != errno.ESRCH
    return True


class Libvirtd:
    """Of a session."""

    mode = "session"

    def __init__(self):
        self.libvirt = requirements.module("libvirt", "python3-libvirt")
        # Everything that is printed also comes as an exception.
        self.libvirt.registerErrorHandler(lambda *_: None, None)
        self.folder = tempfile.mkdtemp(prefix="ipidefer-libvirt-")
        os.chmod(self.folder, 0o711)
        self.user = self.find_user()
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
        for variable, name in (("HOME", "home"), ("XDG_RUNTIME_DIR", "run"),
                               ("XDG_CONFIG_HOME", "config"),
                               ("XDG_CACHE_HOME", "cache"),
                               ("XDG_DATA_HOME", "data")):
            environment[variable] = self.own_folder(name)
        self.run = environment["XDG_RUNTIME_DIR"]
        self.log = os.path.join(self.own_folder("log"), "libvirtd")
        conf = os.path.join(self.folder, "libvirtd.conf")
        with open(conf, "w") as out:
            out.write('log_filters="3:*"\n'
                      f'log_outputs="3:file:{self.log}"\n')
        os.chmod(conf, 0o644)
        self.configure()
        command = [*self.privileges(), PROGRAM, "-f", conf]
        self.uri = (f"qemu+unix:///{self.mode}?socket="
                    f"{os.path.join(self.state(), 'libvirt-sock')}")
        with open(os.path.join(self.folder, "output"), "wb") as output:
            self.reaper = subprocess.Popen(
                [sys.executable, os.path.join(HERE, "reaper.py"), *command],
                env=environment, stdin=subprocess.PIPE, stdout=output,
                stderr=output, start_new_session=True)
        try:
            self.start()
        except Exception:
            self.close()
            raise

    def find_user(self):
        """@return whose QEMUs are: a user whom nobody believes unless told to"""
        return NOBODY if os.geteuid() == 0 else os.geteuid()

    def configure(self):
        """Write what the daemon reads besides its own file."""

    def privileges(self):
        """@return what the daemon is started by"""
        return [] if os.geteuid() else [
            "/usr/bin/setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]

    def state(self):
        """@return the folder of its sockets and pids"""
        return os.path.join(self.run, "libvirt")

    def logs(self):
        """@return the folder of its QEMUs' logs"""
        return os.path.join(self.folder, "cache/libvirt/qemu/log")

    def pids(self):
        """@return the folder of its QEMUs' pids"""
        return os.path.join(self.state(), "qemu/run")

    def own_folder(self, name):
        path = os.path.join(self.folder, name)
        os.mkdir(path, 0o700)
        os.chown(path, self.user, -1)
        return path

    def share(self, path):
        """A copy that libvirtd's user can read and run."""
        copy = os.path.join(self.folder, os.path.basename(path))
        shutil.copyfile(path, copy)
        os.chmod(copy, 0o755)
        return copy

    def start(self):
        self.reaper.stdin.write(b"start\n")
        self.reaper.stdin.flush()

        def answers():
            if self.reaper.poll() is not None:
                raise Failed(f"cannot start:\n{self.output()}")
            try:
                self.connection = self.libvirt.open(self.uri)
                return True
            except self.libvirt.libvirtError as error:
                self.last = error
                return False
        try:
            wait_until("libvirtd answers", answers, TIMEOUT)
        except AssertionError as error:
            raise Failed(f"{error}; {self.last}\n{self.output()}") from error

    def pid(self, name):
        try:
            with open(os.path.join(self.state(), name)) as file:
                return int(file.read())
        except (FileNotFoundError, ValueError):
            return None

    def end(self, name, number=signal.SIGTERM):
        """By its pid; the domains run on."""
        pid = self.pid(name)
        if pid and runs(pid):
            os.kill(pid, number)
            wait_until(f"{name} ends", lambda: not runs(pid), TIMEOUT)

    def kill(self):
        """As if it had crashed."""
        self.end("libvirtd.pid", signal.SIGKILL)

    def output(self):
        text = ""
        for path in os.path.join(self.folder, "output"), self.log:
            if os.path.exists(path):
                with open(path, errors="replace") as file:
                    text += file.read()[-4000:]
        return text

    def qemu_log(self, name):
        path = os.path.join(self.logs(), f"{name}.log")
        if not os.path.exists(path):
            return ""
        with open(path, errors="replace") as file:
            return file.read()[-4000:]

    def close(self):
        """Everything that was started, domains too."""
        try:
            if not self.pid("libvirtd.pid") or \
                    not runs(self.pid("libvirtd.pid")):
                self.start()
            for domain in self.connection.listAllDomains():
                if domain.isActive():
                    domain.destroy()
        except (AttributeError, Failed, self.libvirt.libvirtError):
            pass
        self.end("libvirtd.pid")
        self.end("virtlogd.pid")
        self.reaper.stdin.close()
        self.reaper.wait(TIMEOUT)
        shutil.rmtree(self.folder, ignore_errors=True)


class SystemLibvirtd(Libvirtd):
    """The system's: root's, whose QEMUs are another user's, and in cgroups."""

    mode = "system"

    def find_user(self):
        requirements.in_box("the system's libvirtd has the machine's folders")
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(SYSTEM_USER).pw_uid
        subprocess.run(["useradd", "--system", "--user-group", SYSTEM_USER], check=True)
        return pwd.getpwnam(SYSTEM_USER).pw_uid

    def configure(self):
        # Nobody has started virtlogd.
        with open("/etc/libvirt/qemu.conf", "w") as out:
            out.write('stdio_handler = "file"\n')

    def privileges(self):
        return []

    def state(self):
        return "/run/libvirt"

    def logs(self):
        return "/var/log/libvirt/qemu"

    def pids(self):
        return "/run/libvirt/qemu"
