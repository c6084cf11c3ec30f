# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a segment comes from, and where it goes; what is in it of the guest's clock."""
import os
import signal
import struct
import tempfile
import time

import pytest

from tests.support import requirements
from tests.support.configurations import OBJECT
from tests.support.contract import ACCEPT, BIT, CODE, PLAIN, VECTOR, word
from tests.support.machine import TIMEOUT, Failed, wait_until
from tests.support.migration import load
from tests.support.segment_tool import Tool, recorded

pytestmark = [pytest.mark.qemu, pytest.mark.ctest(timeout=900, processors=2)]


def refused(boot, *options):
    with pytest.raises(Failed) as caught:
        boot(options=options)
    return str(caught.value)


def killed_by(boot, tool, use):
    """@return the signal that ends QEMU when somebody does this."""
    vm = boot(environment=broken("block"))
    vm.register(3)
    recorded(vm, tool)
    os.truncate(tool.path(), 0)
    with pytest.raises(Failed):
        use(vm)
    return -vm.process.wait(TIMEOUT)


def broken(mutant):
    """What makes a QEMU that is wrong in one thing (mutant_segment.c)."""
    return {"LD_PRELOAD": requirements.path("IPIDEFER_MUTANT_SEGMENT"),
            "IPIDEFER_MUTANT": mutant}


def header(tool):
    """@return the TSC at a moment, that moment on CLOCK_MONOTONIC, the
    TSC's frequency, and the guest's TSC less the host's, or None."""
    with open(tool.path(), "rb") as file:
        raw = file.read(384)
    _, known, tsc, monotonic, _, hz, offset = struct.unpack_from(
        "<IIQQQQq", raw, 336)
    return tsc, monotonic, hz, offset if known else None


def host_tsc(tool):
    tsc, monotonic, hz, _ = header(tool)
    return tsc + (time.monotonic_ns() - monotonic) * hz // 10**9


def guest_tsc(vm):
    """The whole of it, on CPU 0."""
    # rdtsc; mov %eax, LOW; mov %edx, HIGH; ret
    low, high = CODE + 0x100, CODE + 0x104
    code = (b"\x0f\x31\x89\x04\x25" + struct.pack("<I", low)
            + b"\x89\x14\x25" + struct.pack("<I", high) + b"\xc3")
    vm.write(CODE, code)
    vm.tell(0, "call", CODE)
    return vm.r32(high) << 32 | vm.r32(low)


def offset_is(vm, tool, offset):
    """Does it make a guest's TSC of the host's?"""
    second = header(tool)[2]
    before = host_tsc(tool)
    guest = guest_tsc(vm)
    after = host_tsc(tool)
    return before - second < guest - offset < after + second


@pytest.mark.machines(long=["tcg-xapic", "kvm-xapic"])
class TestSegmentLifetime:
    @pytest.fixture
    def tool(self):
        """A folder for each test: machines that one does not end are killed, and leave
        their segments."""
        program = requirements.path("IPIDEFER_CLI")
        with tempfile.TemporaryDirectory(prefix="ipidefer-segment-") as folder:
            yield Tool(program, folder)

    @pytest.fixture
    def options(self, configuration, tool):
        return configuration.named("web1", tool.folder)

    def test_two_of_one_name(self, boot, tool):
        vm = boot()
        vm.register(3)
        recorded(vm, tool)
        first = tool.stat("web1")["id"]
        other = boot()
        assert tool.files() == ["ipidefer.web1~", "ipidefer.web1~"]
        assert ("there are 2 VMs 'web1', give the ID of one:"
                in tool.run("stat", "web1", status=1))
        (second,) = {one["id"] for one in tool.list().values()} - {first}
        assert tool.stat(second)["out_of_range"] == []
        # Each has a policy of its own.
        tool.run("policy", second, "--off")
        assert not other.get("enabled")
        assert vm.get("enabled")
        assert tool.policy(first)["enabled"]

    def test_default_folder_is_the_users_own(self, boot, tool):
        vm = boot(options=("-name", "ipidefer-test", "-object",
                           f"{OBJECT},segment=on"))
        try:
            own = f"/dev/shm/ipidefer-{os.geteuid()}"
            assert os.stat(own).st_mode & 0o7777 == 0o755
            assert tool.files() == []
            assert len([name for name in os.listdir(own)
                        if name.startswith("ipidefer.ipidefer-test~")]) == 1
        finally:
            vm.qmp("quit")
            vm.process.wait(TIMEOUT)

    def test_file_goes_when_qemu_ends(self, boot, tool):
        vm = boot()
        assert tool.files() == ["ipidefer.web1~"]
        vm.qmp("quit")
        assert vm.process.wait(TIMEOUT) == 0
        assert tool.files() == []

    def test_file_goes_when_qemu_is_asked_to_end(self, boot, tool):
        vm = boot()
        vm.process.send_signal(signal.SIGTERM)
        assert vm.process.wait(TIMEOUT) == 0
        assert tool.files() == []

    @pytest.mark.only("tcg-*")
    def test_file_goes_when_qemu_fails_after_all(self, boot, tool, options):
        assert "'/nonexistent'" in refused(
            boot, *options, "-incoming", "file:/nonexistent")
        assert tool.files() == []

    @pytest.mark.only("tcg-*")
    def test_file_that_does_not_go_is_seen(self, boot, tool):
        """The control of the three above."""
        vm = boot(environment=broken("keep"))
        with pytest.raises(AssertionError):
            vm.qmp("quit")
            assert vm.process.wait(TIMEOUT) == 0
            assert tool.files() == []

    def test_killed_qemu_leaves_a_stale_segment_that_the_next_replaces(self, boot, tool):
        vm = boot()
        pid = vm.process.pid
        vm.process.kill()
        vm.process.wait(TIMEOUT)
        shown = tool.list()["web1"]
        assert (shown["state"], shown["pid"]) == ("stale", pid)
        vm = boot()
        shown = tool.list()["web1"]
        assert (shown["state"], shown["pid"]) == ("running", vm.process.pid)
        vm.process.kill()
        vm.process.wait(TIMEOUT)
        tool.run("list", "--clean")
        assert tool.files() == []

    def test_truncated_segment_delivers_everything_and_the_vm_lives(self, boot, tool,
                                                                    configuration):
        vm = boot()
        vm.register(3)
        recorded(vm, tool)
        taken = vm.taken(3, VECTOR)
        os.truncate(tool.path(), 0)
        if configuration.decided:
            # KVM has pages of its own, until QEMU has noticed and takes over.
            assert vm.qmp("query-ipi-defer")["in-kernel"] is False
        for n, sender in enumerate(range(3), 1):
            vm.ipi(3, cpu=sender)
            # Asked each time: two that wait are one interrupt.
            assert vm.taken(3, VECTOR) == taken + n
        vm.register(2)
        # None of them was recorded, and none was lost (I4).
        assert vm.taken(3, VECTOR) == taken + 3
        assert vm.get("enabled") is False
        assert vm.counters(3, VECTOR) == {"delivered-policy": 3}
        assert "has 0 bytes: not a segment" in tool.run("stat", "web1", status=1)
        # What QMP sets still holds.
        vm.set("isolated-cpus", [3])
        for name in "user", "guest", "idle", "enabled":
            vm.set(name, True)
        vm.w32(word(3), ACCEPT)
        vm.ipi(3)
        assert vm.r32(word(3)) == ACCEPT | BIT
        vm.qmp("quit")
        assert vm.process.wait(TIMEOUT) == 0
        assert tool.files() == []

    def test_truncated_segment_that_the_main_thread_finds_first(self, boot, tool):
        """By a tick, or because of the monitor."""
        vm = boot()
        vm.register(3)
        recorded(vm, tool)
        taken = vm.taken(3, VECTOR)
        os.truncate(tool.path(), 0)
        assert vm.qmp("query-ipi-defer")["enabled"] is False
        vm.set("isolated-cpus", [2, 3])
        vm.ipi(3)
        assert vm.taken(3, VECTOR) == taken + 1

    def test_truncated_segment_kills_a_main_thread_that_blocks_sigbus(self, boot, tool):
        """The control of the test above."""
        assert killed_by(boot, tool, lambda vm: vm.qmp("query-ipi-defer")) == signal.SIGBUS

    # Threads of KVM's vCPUs never block it.
    @pytest.mark.only("tcg-*")
    def test_truncated_segment_kills_a_vcpu_that_blocks_sigbus(self, boot, tool):
        """And of the one before it."""
        assert killed_by(boot, tool, lambda vm: vm.ipi(3)) == signal.SIGBUS

    @pytest.mark.only("tcg-*")
    def test_truncated_segment_after_a_cpu_was_plugged_in(self, boot, tool):
        """Its thread is new."""
        vm = boot(cpus="3,maxcpus=4", machine="pc")
        slot = [c["props"] for c in vm.qmp("query-hotpluggable-cpus")
                if "qom-path" not in c][0]
        vm.qmp("device_add", driver="qemu64-x86_64-cpu", id="extra",
               **{k.replace("-", "_"): v for k, v in slot.items()})
        vm.tell(0, "start", 3)
        os.truncate(tool.path(), 0)
        vm.ipi(2, PLAIN, cpu=3)
        assert vm.taken(2, PLAIN) == 1
        vm.register(3)
        vm.ipi(3, cpu=3)
        assert vm.taken(3, VECTOR) == 1

    def test_reset_ends_registrations_and_keeps_counters(self, boot, tool):
        vm = boot()
        vm.register(3)
        recorded(vm, tool)
        before = tool.counts("web1")
        vm.qmp("system_reset")
        vm.wait_ready()
        assert tool.counts("web1") == before
        assert [v["bound"] for v in tool.stat("web1")["vcpus"]] == [False] * 4
        vm.register(3)
        recorded(vm, tool)
        assert tool.counts("web1") == {(3, VECTOR, "deferred"): 2}

    # -- the clock ------------------------------------------------------------

    def test_guests_tsc_is_told_from_the_hosts(self, boot, tool):
        vm = boot()
        wait_until("told", lambda: header(tool)[3] is not None)
        offset = header(tool)[3]
        assert offset_is(vm, tool, offset)
        # The control: another one does not. Nor does none, unless this KVM
        # leaves the TSC as it is.
        second = header(tool)[2]
        assert not offset_is(vm, tool, offset + 3 * second)
        if abs(offset) > 3 * second:
            assert not offset_is(vm, tool, 0)
        else:
            assert vm.configuration.kvm

    @pytest.mark.only("tcg-*")
    def test_guests_tsc_stands_still_with_the_guest(self, boot, tool):
        vm = boot()
        wait_until("told", lambda: header(tool)[3] is not None)
        before = header(tool)[3]
        vm.qmp("stop")
        vm.qmp("cont")
        wait_until("told anew", lambda: header(tool)[3] != before)
        assert header(tool)[3] < before
        assert offset_is(vm, tool, header(tool)[3])

    # -- options --------------------------------------------------------------

    @pytest.mark.only("tcg-*")
    def test_no_segment_unless_asked_for(self, boot, tool):
        vm = boot(options=("-name", "web1", "-object",
                           f"{OBJECT},segment-dir={tool.folder}"))
        assert tool.files() == []
        assert vm.get("segment") is False
        assert "segment" not in vm.qmp("query-ipi-defer")
        assert "max-age-ns needs segment=on" in vm.qmp_error(
            "qom-set", path="/objects/d0", property="max-age-ns", value=1)

    @pytest.mark.only("tcg-*")
    def test_bad_options_are_named(self, boot, tool, configuration):
        segment = f"{OBJECT},segment=on,segment-dir={tool.folder}"
        for options, said in (
                (("-object", segment), "segment=on needs a name"),
                (configuration.named("x", tool.folder, ",segment-mode=0888"),
                 "segment-mode: '0888' is not an octal number from 1 to 777"),
                (configuration.named("x", tool.folder, ",segment-mode=1000"),
                 "segment-mode: '1000' is not an octal number from 1 to 777"),
                (configuration.named("x", tool.folder, ",segment-group=no.such.group"),
                 "segment-group: 'no.such.group' is neither a group nor"),
                (configuration.named("x", tool.folder, ",trace-entries=3"),
                 "0 or a power of two up to 1048576 trace entries, not 3"),
                (configuration.named("x" * 128, tool.folder), "127"),
                (configuration.named("x", tool.folder, ",segment-dir=/nonexistent"),
                 "/nonexistent"),
                (("-name", "x", "-object", OBJECT + ",max-age-ns=1"),
                 "max-age-ns needs segment=on")):
            assert said in refused(boot, *options)
        assert tool.files() == []

    @pytest.mark.only("tcg-*")
    def test_record_and_replay_are_refused(self, boot, tool):
        with pytest.raises(Failed, match="segment=on is not possible with record/replay"):
            boot("-icount", f"shift=3,rr=record,rrfile={tool.folder}/record",
                 accel="tcg,thread=single")

    @pytest.mark.only("tcg-*")
    def test_all_options(self, boot, tool, configuration):
        vm = boot(options=configuration.named(
            "web1", tool.folder, ",segment-name=a b,segment-mode=640,segment-group="
            f"{os.getgid()},trace-entries=0,max-age-ns=9000000000"))
        assert tool.files() == ["ipidefer.a%20b~"]
        status = os.stat(os.path.join(tool.folder, os.listdir(tool.folder)[0]))
        assert (status.st_mode & 0o7777, status.st_gid) == (0o640, os.getgid())
        assert tool.policy("a b")["max_age_ns"] == 9 * 10**9
        assert "no trace ring" in tool.run("trace", "a b", status=77)
        for name, value in (("segment", False), ("segment-name", "c"),
                            ("segment-dir", "/"), ("segment-mode", "0600"),
                            ("segment-group", "0"), ("trace-entries", 64)):
            assert "cannot be changed any more" in vm.qmp_error(
                "qom-set", path="/objects/d0", property=name, value=value)
        assert vm.get("segment-name") == "a b"
        assert vm.get("segment-mode") == "640"
        assert vm.get("trace-entries") == 0

    @pytest.mark.only("tcg-*")
    def test_icount(self, boot, tool):
        """Time is another there, and nobody says how it relates to ours."""
        vm = boot("-icount", "shift=3", accel="tcg,thread=single")
        vm.register(3)
        recorded(vm, tool)
        wait_until("a tick", lambda: tool.stat("web1")["oldest_pending_ns"])
        assert header(tool)[3] is None

    # -- migration ------------------------------------------------------------

    def test_destination_has_a_segment_of_its_own(self, boot, tmp_path, tool):
        stream = tmp_path / "stream"
        vm = boot()
        vm.register(3)
        recorded(vm, tool)
        vm.qmp("migrate", uri=f"file:{stream}")
        vm.wait_migrated()
        # On one host, source and destination have one name.
        source, first = vm, tool.stat("web1")["id"]
        vm = load(boot, f"file:{stream}")
        (second,) = {one["id"] for one in tool.list().values()} - {first}
        assert tool.counts(second) == {}
        assert tool.counts(first) == {(3, VECTOR, "deferred"): 1}
        # What came with it waits here.
        assert tool.stat(second)["vcpus"][3]["bound"]
        wait_until("seen",
                   lambda: tool.stat(second)["vcpus"][3]["oldest_pending_ns"])
        source.qmp("quit")
        source.process.wait(TIMEOUT)
        vm.ipi(3)
        # The name is its own now.
        assert tool.counts("web1") == {(3, VECTOR, "coalesced"): 1}
