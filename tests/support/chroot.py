# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian systems in folders: made once by mmdebstrap, kept as an archive in the cache,
unpacked for each test that changes them."""
import contextlib
import fcntl
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.support import requirements
from tests.support.children import mortal

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
# A system is made anew after that many days: Debian's mirrors change.
DAYS = 7
# What is mounted while a program runs there. None of the host's files is there but what
# is asked for, to be read: no package's script can reach them.
MOUNTS = """\
set -e
root=$1; shift
mount --make-rprivate /
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/dev/shm"
mount -t tmpfs tmpfs "$root/run"
[ -z "$IPIDEFER_BIND" ] || {
    mkdir -p "$root$IPIDEFER_BIND"
    mount --bind -o ro "$IPIDEFER_BIND" "$root$IPIDEFER_BIND"
}
[ -z "$IPIDEFER_CCACHE" ] || {
    mkdir -p "$root/ccache"
    mount --bind "$IPIDEFER_CCACHE" "$root/ccache"
}
cd "$root"
exec chroot . /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \\
    LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"
"""


def mirrors(suite, sources=Path("/etc/apt")):
    """@return Debian's archives that this host uses, as lines of a suite's sources.list"""
    text = "".join(file.read_text() for file in
                   [sources / "sources.list", *sorted(sources.glob("sources.list.d/*"))]
                   if file.is_file())
    found = re.findall(r"^(?:URIs:|deb )[^\n]*?\b(https?://\S+?/debian)/?(?:\s|$)", text,
                       re.MULTILINE)
    archive = found[0] if found else "http://deb.debian.org/debian"
    return [f"deb {archive} {suite} main", f"deb {archive} {suite}-updates main",
            f"deb {archive}-security {suite}-security main"]


def cache():
    return Path(os.environ.get("IPIDEFER_CACHE") or Path.home() / ".cache/ipidefer")


def needs():
    """What systems are made with and run by, or the test is skipped."""
    requirements.program("mmdebstrap")
    requirements.program("unshare")
    requirements.file(KEYRING, "debian-archive-keyring")
    if os.geteuid() != 0:
        pytest.skip("only root may make a system in a folder")


@contextlib.contextmanager
def locked(path):
    with open(path, "w", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def archive_of(suite, include, build_deps=None):
    """@param include: packages besides the essential ones
    @param build_deps: a debian/control whose build dependencies are installed too
    @return the archive of such a system"""
    needs()
    folder = cache() / "chroot"
    folder.mkdir(parents=True, exist_ok=True)
    made_of = repr((suite, sorted(include), mirrors(suite),
                    build_deps and build_deps.read_text()))
    name = f"{suite}-{hashlib.sha256(made_of.encode()).hexdigest()[:16]}"
    archive = folder / f"{name}.tar"
    with locked(folder / f"{name}.lock"):
        fresh = archive.exists() and subprocess.run(
            ["find", archive, "-mtime", f"-{DAYS}"], stdout=subprocess.PIPE,
            check=True).stdout
        if not fresh:
            make(suite, include, build_deps, archive)
    return archive


def make(suite, include, build_deps, archive):
    command = ["mmdebstrap", "--mode=root", "--variant=minbase", "--format=tar",
               f"--include={','.join(['ca-certificates', *include])}",
               "--aptopt=Acquire::Languages none", "--aptopt=APT::Install-Recommends false"]
    if build_deps:
        # apt takes a folder for an unpacked source package.
        where = shlex.quote(str(build_deps))
        command += [f"--customize-hook=mkdir -p $1/build-deps/debian && "
                    f"cp {where} $1/build-deps/debian/control",
                    "--customize-hook=chroot $1 apt-get -qy build-dep /build-deps",
                    "--customize-hook=rm -r $1/build-deps"]
    with tempfile.NamedTemporaryFile("w", suffix=".list") as sources:
        sources.write("\n".join(mirrors(suite)) + "\n")
        sources.flush()
        whole = archive.with_suffix(".tar.new")
        done = subprocess.run([*command, suite, whole, sources.name],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        whole.unlink(missing_ok=True)
        said = "\n".join(done.stdout.splitlines()[-15:])
        if re.search("Could not resolve|Temporary failure|Unable to connect|Failed to fetch",
                     done.stdout):
            pytest.skip(f"no {suite} could be fetched: {said}")
        pytest.fail(f"mmdebstrap {suite}: {said}", pytrace=False)
    whole.rename(archive)


class System:
    """One that may be changed."""

    def __init__(self, root):
        self.root = Path(root)

    def path(self, inside):
        return self.root / inside.lstrip("/")

    def run(self, *command, network=False, check=True, text=None, bind="", ccache="",
            environment=None):
        """@param bind: a folder of the host that is there too, to be read
        @param ccache: one that is /ccache there, and may be written
        @return what it did, with output and errors in one"""
        isolated = [] if network else ["--net"]
        if not network:
            # Even 127.0.0.1 is there only once its interface is up.
            command = ("sh", "-c", "ip link set lo up 2>/dev/null; exec \"$@\"", "sh",
                       *command)
        words = [f"{name}={value}" for name, value in (environment or {}).items()]
        done = subprocess.run(
            mortal(["unshare", "--mount", "--pid", "--fork", "--kill-child", "--ipc",
                    "--uts", *isolated, "sh", "-c", MOUNTS, "sh", str(self.root), *words,
                    *map(str, command)]),
            env={**os.environ, "IPIDEFER_BIND": str(bind), "IPIDEFER_CCACHE": str(ccache)},
            input=text or "",
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="replace", check=False)
        if check and done.returncode != 0:
            pytest.fail(f"{shlex.join(map(str, command))}: status {done.returncode}\n"
                        + "\n".join(done.stdout.splitlines()[-40:]), pytrace=False)
        return done

    def shell(self, script, **options):
        return self.run("sh", "-euc", script, **options)

    def files(self):
        """@return all that is there, but what only says what was done"""
        found = set()
        for folder, folders, names in os.walk(self.root):
            inside = "/" + os.path.relpath(folder, self.root)
            inside = "" if inside == "/." else inside
            folders[:] = [name for name in folders if not BOOKKEEPING.match(
                f"{inside}/{name}")]
            found.update(f"{inside}/{name}" for name in (*folders, *names)
                         if not BOOKKEEPING.match(f"{inside}/{name}"))
        return found


# Of dpkg and apt, of the cache of ld.so and of man; lists of units of a debhelper that
# other packages use too.
BOOKKEEPING = re.compile(
    r"/(proc|sys|dev|tmp)/|/var/lib/(dpkg|apt)/|/var/cache/(apt|debconf|ldconfig|man)/|"
    r"/var/log/(apt|dpkg\.log|alternatives\.log)|/etc/(ld\.so\.cache|passwd-|group-|"
    r"shadow-|gshadow-)|/etc/\.pwd\.lock|.*\.dpkg-(old|new)$|/run/")


@contextlib.contextmanager
def system(archive):
    """A new system of an archive's."""
    root = Path(tempfile.mkdtemp(prefix="ipidefer-chroot-"))
    try:
        subprocess.run(["tar", "-C", root, "--numeric-owner", "-xf", archive], check=True)
        # Or a program there finds no name of a mirror.
        if os.path.exists("/etc/resolv.conf"):
            shutil.copyfile("/etc/resolv.conf", root / "etc/resolv.conf")
        # Nothing is started there: no init runs.
        policy = root / "usr/sbin/policy-rc.d"
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
        yield System(root)
    finally:
        # Never beyond a mount that somebody left.
        subprocess.run(["rm", "-rf", "--one-file-system", root], check=False)
