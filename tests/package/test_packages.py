# SPDX-License-Identifier: GPL-2.0-or-later
"""The Debian packages: what is in them, and how they come and go in a system that has
nothing of ours."""
import re
import subprocess

import pytest

from tests.support import chroot, requirements
from tests.support.requirements import ROOT

pytestmark = [pytest.mark.package, pytest.mark.soak, pytest.mark.ctest(timeout=5400)]
NAMES = {"libipidefer0", "libipidefer-dev", "ipidefer", "ipidefer-libvirt", "ipideferd",
         "ipidefer-vmm", "ipidefer-lab"}
# By package: programs, and what they say of themselves.
PROGRAMS = {
    ("ipidefer", "--version"): r"^ipidefer {version}\nbuilt from source package ipidefer ",
    ("ipideferd", "--version"): r"^ipideferd {version}\n",
    ("ipideferd", "--check"): r"^$",
    ("ipidefer-vmm", "--version"): r"^ipidefer-vmm {version}\n",
    ("ipidefer", "list"): r"^",
    ("ipidefer", "lab", "--help"): r"(?m)^  run ",
    ("ipidefer", "bench", "core", "--help"): r"(?m)^Usage: ipidefer bench core",
}


def version():
    """@return that of the one place where it is"""
    text = (ROOT / "vmm/core/include/ipidefer/ipidefer.h").read_text()
    return ".".join(re.search(rf"#define IPIDEFER_VERSION_{part} (\d+)", text)[1]
                    for part in ("MAJOR", "MINOR", "PATCH"))


def debs(folder):
    """@return {package: its file}"""
    return {file.name.partition("_")[0]: file for file in sorted(folder.glob("*.deb"))
            if not file.name.partition("_")[0].endswith("-dbgsym")}


def tags(said, kinds):
    """@return lintian's tags of these kinds, one line each"""
    return re.findall(rf"^(?:{'|'.join(kinds)}): .*", said, re.MULTILINE)


class TestBuilt:
    def test_every_package_is_there(self, built):
        for folder in built.now, built.before:
            assert set(debs(folder)) == NAMES

    def test_lintian_finds_no_error(self, built):
        assert tags(built.lintian, "E") == []
        # It did look.
        assert "Processing" in built.lintian

    def test_lintian_finds_nothing_that_is_not_explained(self, built):
        assert tags(built.lintian, "W") == []

    def test_every_exported_function_is_in_the_symbols_file(self, built):
        shown = subprocess.run(["dpkg-deb", "-I", debs(built.now)["libipidefer0"], "symbols"],
                               capture_output=True, text=True, check=True).stdout
        header = (ROOT / "vmm/core/include/ipidefer/ipidefer.h").read_text()
        wanted = (ROOT / "debian/libipidefer0.symbols").read_text()
        functions = set(re.findall(r"^ (ipidefer_\w+)@IPIDEFER_0 ", shown, re.MULTILINE))
        assert functions == set(re.findall(r"^ (ipidefer_\w+)@IPIDEFER_0 ", wanted,
                                           re.MULTILINE))
        assert functions
        assert functions <= set(re.findall(r"\b(ipidefer_\w+)\(", header))


def test_an_error_of_lintian_would_show():
    said = "N: hint\nE: ipidefer: no-copyright-file\nW: x: y\n"
    assert tags(said, "E") == ["E: ipidefer: no-copyright-file"]
    assert tags(said, "W") == ["W: x: y"]


@pytest.fixture(scope="module")
def archive(suite):
    """A system of a user who has installed nothing."""
    return chroot.archive_of(suite, ["apt-utils", "autopkgtest", "iproute2"])


def of_others(system, files):
    """@return what apt would install for packages in these files besides them"""
    plan = system.run("apt-get", "-s", "install", *files, network=True).stdout
    return sorted(set(re.findall(r"^Inst (\S+)", plan, re.MULTILINE)) - NAMES)


def put(system, folder):
    """@return where a folder's packages are in the system now, which knows of others"""
    if not any(system.path("/var/lib/apt/lists").glob("*Packages*")):
        system.run("apt-get", "-q", "update", network=True)
    inside = system.path(f"/packages/{folder.name}")
    inside.mkdir(parents=True)
    for file in debs(folder).values():
        (inside / file.name).write_bytes(file.read_bytes())
    return sorted(f"/packages/{folder.name}/{file.name}" for file in inside.iterdir())


def states(system):
    """@return what dpkg knows of ours, by package"""
    shown = system.run("dpkg-query", "-W", "-f", "${Package} ${db:Status-Abbrev}\n").stdout
    return {name: state.strip() for name, _, state in
            (line.partition(" ") for line in shown.splitlines()) if name in NAMES}


class TestLife:
    """Installed, upgraded, removed and purged: nothing stays."""

    def test_from_before_to_purged(self, built, archive):
        with chroot.system(archive) as system:
            before, now = put(system, built.before), put(system, built.now)
            others = of_others(system, now)
            assert "libvirt-daemon-system" in others, "or there would be little to see"
            system.run("apt-get", "-qy", "install", *others, network=True)
            files = system.files()

            # What is not in the packages is not fetched: there is no network.
            system.run("apt-get", "-qy", "install", *before)
            assert states(system) == dict.fromkeys(NAMES, "ii")
            system.path("/etc/ipidefer/ipideferd.json").write_text(
                '{"listen": "127.0.0.1:1234"}\n')
            system.run("apt-get", "-qy", "-o", "Dpkg::Options::=--force-confold",
                       "install", *now)
            assert states(system) == dict.fromkeys(NAMES, "ii")
            # An operator's file is the operator's.
            assert "1234" in system.path("/etc/ipidefer/ipideferd.json").read_text()
            self.programs_run(system)
            self.daemon_is_an_ordinary_user(system)

            installed = system.files()
            assert "/usr/bin/ipidefer" in installed - files
            # Of the daemon, had it run.
            log = system.path("/var/log/ipidefer/audit.log")
            log.parent.mkdir(exist_ok=True)
            log.touch()

            system.run("apt-get", "-qy", "remove", *sorted(NAMES))
            left = system.files() - files
            assert "/usr/bin/ipidefer" not in left
            assert "/etc/ipidefer/ipideferd.json" in left, "a configuration stays"
            self.hook_lets_every_domain_start(system)

            # apt knows none that has left nothing.
            system.run("dpkg", "--purge", *sorted(states(system)))
            assert states(system) == {}
            assert system.files() - files == set()
            assert files - system.files() == set()
            # Users stay, as Debian's policy has it: what they own must not become
            # another's.
            assert "_ipideferd" in system.path("/etc/passwd").read_text()

    @staticmethod
    def programs_run(system):
        for command, expected in PROGRAMS.items():
            done = system.run(*command, check=False)
            assert done.returncode == 0, (command, done.stdout)
            assert re.search(expected.format(version=re.escape(version())), done.stdout), \
                (command, done.stdout)
        # Whatever it finds: it looked at this host.
        done = system.run("ipidefer", "check", check=False)
        assert done.returncode in (0, 2), done.stdout
        assert re.search(r"^(pass|warn|fail|skip) ", done.stdout, re.MULTILINE)

    @staticmethod
    def daemon_is_an_ordinary_user(system):
        unit = system.shell("cat $(dpkg -L ipideferd | grep '/ipideferd.service$')").stdout
        user = re.search(r"^User=(\S+)$", unit, re.MULTILINE)[1]
        assert int(system.run("id", "-u", user).stdout) > 0
        assert system.run("stat", "-c", "%U %a", "/var/log/ipidefer").stdout == \
            f"{user} 750\n"

    @staticmethod
    def hook_lets_every_domain_start(system):
        hook = "/etc/libvirt/hooks/qemu.d/ipidefer"
        system.run(hook, "web1", "prepare", "begin", "-",
                   text="<qemu:arg value='ipi-defer'/>")

    def test_what_stays_would_be_seen(self, archive):
        """The control."""
        with chroot.system(archive) as system:
            files = system.files()
            for name in "/etc/ipidefer/x", "/var/lib/ipidefer", "/usr/share/doc/ipidefer/y":
                system.path(name).parent.mkdir(parents=True, exist_ok=True)
                system.path(name).touch()
            assert {"/etc/ipidefer", "/etc/ipidefer/x", "/var/lib/ipidefer",
                    "/usr/share/doc/ipidefer/y"} <= system.files() - files


class TestAutopkgtest:
    def test_those_of_the_source_package_pass(self, built, archive):
        with chroot.system(archive) as system:
            put(system, built.now)
            for file in (*built.now.glob("*.dsc"), *built.now.glob("*.tar.*")):
                (system.path("/packages/now") / file.name).write_bytes(file.read_bytes())
            done = system.shell("autopkgtest --apt-upgrade --no-built-binaries "
                                "/packages/now/*.deb /packages/now/*.dsc -- null",
                                network=True, check=False)
            results = dict(re.findall(r"^(\w+) +(PASS|FAIL|SKIP)\b", done.stdout,
                                      re.MULTILINE))
            # No init runs there: that one is for a machine (test_boot.py).
            assert results == {"library": "PASS", "daemon": "PASS", "programs": "PASS",
                               "service": "SKIP"}, done.stdout[-4000:]


class TestWithoutLibvirt:
    def test_what_is_missing_is_named(self, built, archive):
        with chroot.system(archive) as system:
            put(system, built.now)
            system.shell("apt-get -qy install /packages/now/ipidefer_*.deb", network=True)
            assert system.shell("ls /usr/lib/*/libvirt.so.0", check=False).returncode != 0
            done = system.run("ipidefer", "check", "--domain", "web1", check=False)
            assert done.returncode == 77
            assert "libvirt0" in done.stdout


class TestRepository:
    def test_readmes_lines_install_from_it(self, built, archive, tmp_path):
        requirements.program("apt-ftparchive")
        entry = subprocess.run([ROOT / "setup/repo.sh", "--out", tmp_path / "apt",
                                built.now], stdout=subprocess.PIPE, check=True,
                               text=True).stdout
        with chroot.system(archive) as system:
            system.path("/etc/apt/sources.list.d/ipidefer.sources").write_text(entry)
            options = {"network": True, "bind": tmp_path}
            system.run("apt-get", "-q", "update", **options)
            for line in install_lines():
                if line.startswith("apt-get install"):
                    system.shell(line.replace("install", "-qy install"), **options)
            state = states(system)
            assert state["ipidefer"] == state["ipideferd"] == "ii"
            shown = system.run("apt-cache", "policy", "ipidefer", **options).stdout
            assert f"Installed: {version()}\n" in shown
            assert f"file:{tmp_path}/apt" in shown


def install_lines():
    """@return the commands of README's section about it"""
    text = (ROOT / "README.md").read_text()
    section = re.search(r"^## Install\n(.*?)^## ", text, re.MULTILINE | re.DOTALL)[1]
    return re.findall(r"^    (\S.*)", section, re.MULTILINE)
