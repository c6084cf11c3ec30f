# SPDX-License-Identifier: GPL-2.0-or-later
"""The box: a KVM host under TCG with this machine's files."""
import json
import os
import select
import signal
import subprocess
import time

import pytest

from tests.support import requirements
from tests.support.schema import Schema

pytestmark = [pytest.mark.nested, pytest.mark.ctest(timeout=600, processors=2)]


@pytest.fixture
def box(qemu, kernel):  # pylint: disable=unused-argument
    """Runs `ipidefer lab box`."""
    program = requirements.path("IPIDEFER_CLI")

    def run(*args, **kwargs):
        return subprocess.run([program, "lab", "box", *args], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              check=False, **kwargs)
    return run


def test_command(box, tmp_path):
    """What a command gets, and what comes back of it."""
    shared, own = tmp_path / "shared", tmp_path / "own"
    shared.mkdir()
    own.write_text("as before\n")
    # What a shell would read otherwise than it is meant.
    word = "a  'b' \"c\" $d; \\ é\n"
    done = box("--share", str(shared), "--cpus", "3", "--isolated", "1-2", "--", "sh", "-c", """
        printf '%s' "$WORD$1"
        pwd >&2
        echo changed >own; cat own >shared/changed
        nproc --all >shared/cpus; cat /sys/devices/system/cpu/nohz_full >shared/isolated
        grep -c ^processor /proc/cpuinfo; cat /sys/module/kvm_amd/parameters/npt
        exit 7""", "sh", word, cwd=tmp_path, env={**os.environ, "WORD": word})
    assert done.returncode == 7, done
    assert done.stdout == word + word + "3\nY\n"
    assert done.stderr == f"{tmp_path}\n"
    assert (shared / "changed").read_text() == "changed\n"
    assert (shared / "cpus").read_text() == "3\n"
    assert (shared / "isolated").read_text() == "1-2\n"
    assert own.read_text() == "as before\n"


def test_large_output(box):
    """Every byte of it arrives, in order."""
    done = box("--", "seq", "200000")
    assert done.returncode == 0
    assert done.stdout == "".join(f"{i}\n" for i in range(1, 200001))


def test_no_such_command(box):
    done = box("--", "no-such-command")
    assert done.returncode == 127
    assert "no-such-command" in done.stderr


def test_kernel_that_panics(box):
    """What its console said last is told."""
    done = box("--append", "init=/no/such/program", "--", "true")
    assert done.returncode == 1
    assert "the box did not start" in done.stderr
    assert "/no/such/program" in done.stderr


def test_without_modules(box, kernel, tmp_path):
    (tmp_path / "bzImage").symlink_to(f"{kernel}/bzImage")
    done = box("--kernel", str(tmp_path), "--", "true")
    assert done.returncode == 1
    assert f"no irqbypass.ko below {tmp_path}/modules" in done.stderr


@pytest.mark.parametrize("arguments, said", [
    (["--cpus", "0"], "--cpus: 0 is not within 1 and 64"),
    (["--isolated", "0-1"], "--isolated: '0-1' names CPU 0"),
    (["--mem", "1M"], "--mem: '1M' is not within"),
    (["--share", "/no/such"], "--share: '/no/such' is not a folder"),
    (["--timeout", "1"], "--timeout: 1 is not within 5 and"),
])
def test_refused(box, arguments, said):
    done = box(*arguments, "--", "true")
    assert done.returncode == 1
    assert said in done.stderr


def test_interrupted(box, tmp_path):
    """Nothing of it stays when it is told to end, or killed."""
    program = requirements.path("IPIDEFER_CLI")
    for number in (signal.SIGTERM, signal.SIGKILL):
        scratch = tmp_path / number.name
        scratch.mkdir()
        lab = subprocess.Popen([program, "lab", "box", "--share", str(tmp_path), "--", "sh",
                                "-c", f"echo >{tmp_path}/{number.name}.runs; sleep 600"],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL,
                               env={**os.environ, "TMPDIR": str(scratch)})
        with lab:
            children = f"/proc/{lab.pid}/task/{lab.pid}/children"
            while not (tmp_path / f"{number.name}.runs").exists():
                assert lab.poll() is None
                time.sleep(0.1)
            with open(children, encoding="ascii") as of_it:
                qemu = int(of_it.read())
            pidfd = os.pidfd_open(qemu)
            lab.send_signal(number)
            status = lab.wait(60)
            ended, _, _ = select.select([pidfd], [], [], 60)
            os.close(pidfd)
        assert ended, "QEMU still runs"
        if number == signal.SIGTERM:
            assert status == 128 + number
            assert not list(scratch.iterdir())


@pytest.mark.soak
class TestLabGoesIntoTheBox:
    def test_table_and_report_say_so(self, box, tmp_path):  # pylint: disable=unused-argument
        report = tmp_path / "report.json"
        done = subprocess.run(
            [requirements.path("IPIDEFER_CLI"), "lab", "run", "--accel", "kvm", "--cpus", "2",
             "--isolated", "1", "--modes", "hv", "--workload", "static-keys", "--json",
             str(report), "--keep-logs", str(tmp_path / "logs")], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False,
            env={**os.environ, "IPIDEFER_KVM": "box"})
        assert done.returncode == 0, done
        assert "IPIDEFER_KVM is 'box'; the lab runs in the box" in done.stderr
        assert done.stdout.startswith("workload static-keys, isolated vCPUs 1, kvm in tcg\n")
        found = json.loads(report.read_text())
        assert Schema("ipidefer-lab/1").complaints(found) == []
        assert found["provenance"]["accelerator"] == "kvm in tcg"
        assert found["runs"][0]["agree"] is True
        assert found["runs"][0]["kvm"]["1"]["exits"] >= 0
        assert (tmp_path / "logs/hv/console.log").stat().st_size > 0
