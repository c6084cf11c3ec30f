#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of what arrives: streams, snapshots and memory maps that are not as the
guest was before.

    test_stream.py [-v] [CLASS[.TEST]]...

As test_qemu.py, and with the same guest. IPIDEFER_FUZZ_LOADS is how many damaged
streams Fuzz loads, 200 if it is not set; IPIDEFER_FUZZ_SEED picks them.
"""
import os
import random
import re
import signal
import struct
import sys
import tempfile
import time
import unittest

import test_qemu
from machine import Failed
from puppet import Refused
from test_qemu import (ACCEPT, BIT, DOORBELL, MIB, MSR_REGISTER, OTHER,
                       VECTOR, Base, binding, table, word)

FUZZ_LOADS = int(os.environ.get("IPIDEFER_FUZZ_LOADS", "200"))
FUZZ_SEED = int(os.environ.get("IPIDEFER_FUZZ_SEED", "0")) or \
    random.SystemRandom().getrandbits(32)
MOST_VECTORS = 32       # bound at a time in one VM
MOST_BINDINGS = 8       # of one vCPU


class Files(Base):
    """A scratch folder, snapshots, and what must hold after any load."""

    def setUp(self):
        super().setUp()
        scratch = tempfile.TemporaryDirectory(prefix="ipidefer-stream-")
        self.addCleanup(scratch.cleanup)
        self.scratch = scratch.name
        self.file = os.path.join(self.scratch, "stream")

    def job(self, name, **arguments):
        """Run a job of QEMU's. @return its error, '' if there was none."""
        self.m.qmp(name, job_id="job", **arguments)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            for job in self.m.qmp("query-jobs"):
                if job["id"] == "job" and job["status"] == "concluded":
                    self.m.qmp("job-dismiss", id="job")
                    return job.get("error", "")
            time.sleep(0.02)
        self.fail(f"{name} does not end")

    def disk(self):
        """@return options for a machine that can take snapshots."""
        image = os.path.join(self.scratch, "disk.qcow2")
        with open(image, "wb"):
            pass
        self.m = self.boot()
        self.m.qmp("blockdev-add", driver="file", node_name="f0",
                   filename=image)
        self.assertEqual(self.job("blockdev-create", options={
            "driver": "qcow2", "file": "f0", "size": 64 << 20}), "")
        self.m.close()
        return ("-blockdev", "driver=qcow2,node-name=q0,file.driver=file,"
                f"file.filename={image}")

    def snapshot(self, what):
        return self.job(f"snapshot-{what}", tag="tag", vmstate="q0",
                        devices=["q0"])

    def bind(self, cpu, vectors):
        self.register(cpu, *(binding(word(cpu), v, bit=1 << 8 + i)
                             for i, v in enumerate(vectors)))

    def assert_sound(self):
        """No vCPU is half registered, and nothing of it is forgotten."""
        for cpu in self.m.qmp("query-ipi-defer")["cpus"]:
            self.assertEqual(cpu["registered"], bool(cpu["bindings"]))
            self.assertLessEqual(len(cpu["bindings"]), MOST_BINDINGS)

    def assert_alive(self):
        """A change of the memory map, a reset, and a guest that starts anew."""
        self.assert_sound()
        self.m.qmp("system_reset")
        if not self.m.qmp("query-status")["running"]:
            self.m.qmp("cont")
        self.m.wait_ready()
        for cpu in self.m.qmp("query-ipi-defer")["cpus"]:
            self.assertFalse(cpu["registered"])
        self.pam(0xd0000, 3)
        self.pam(0xd0000, 0)
        self.register(3)
        self.m.w32(word(3), ACCEPT)
        self.ipi(3)
        self.assertEqual(self.m.r32(word(3)), ACCEPT | BIT)


class Snapshot(Files):
    def test_load_that_is_refused_leaves_nothing_registered(self):
        """The guest of the snapshot had a doorbell, this one has none."""
        disk = self.disk()
        self.start(*disk, options=DOORBELL)
        self.register(3)
        self.assertEqual(self.snapshot("save"), "")
        self.m.close()
        self.start(*disk)
        self.register(2)
        self.assertNotEqual(self.snapshot("load"), "")
        self.assertIn("the guest was offered doorbell, doorbell-multi, and here "
                      "it would find icr in CPUID", self.m.output())
        for cpu in self.m.qmp("query-ipi-defer")["cpus"]:
            self.assertFalse(cpu["registered"])
        self.assert_alive()

    def test_loads_after_a_guest_that_bound_whatever_it_could(self):
        disk = self.disk()
        self.start(*disk)
        self.bind(3, [VECTOR])
        self.assertEqual(self.snapshot("save"), "")
        for first in range(0x30, 0x30 + 2 * MOST_VECTORS, MOST_BINDINGS):
            self.bind(3, range(first, first + MOST_BINDINGS))
        self.assertEqual(self.snapshot("load"), "")
        self.assertEqual(self.m.defer(3)["bindings"][0]["vector"], VECTOR)
        self.m.w32(word(3), ACCEPT)
        self.ipi(3)
        self.assertEqual(self.m.r32(word(3)), ACCEPT | BIT)
        self.assert_alive()

    def test_work_that_was_recorded_is_there_again(self):
        disk = self.disk()
        self.start(*disk)
        self.register(3)
        self.m.w32(word(3), ACCEPT)
        self.ipi(3)
        self.assertEqual(self.snapshot("save"), "")
        self.m.w32(word(3), 0)
        self.m.wrmsr(3, MSR_REGISTER, 0)
        self.assertEqual(self.snapshot("load"), "")
        self.assertEqual(self.m.r32(word(3)), ACCEPT | BIT)
        self.ipi(3)
        self.assertEqual(self.m.taken(3, VECTOR), 0)


class Vectors(Files):
    """There are 32 at a time in a VM; to have bound one uses up nothing."""

    def bind_all(self, cpu=3, count=4 * MOST_VECTORS):
        for first in range(0x30, 0x30 + count, MOST_BINDINGS):
            self.bind(cpu, range(first, first + MOST_BINDINGS))

    def test_more_than_32_one_after_another(self):
        self.start()
        self.bind_all()
        self.m.wrmsr(3, MSR_REGISTER, 0)
        self.bind(3, [VECTOR])
        self.m.w32(word(3), ACCEPT)
        self.ipi(3)
        self.assertEqual(self.m.r32(word(3)), ACCEPT | BIT)

    def test_after_a_reset(self):
        self.start()
        self.bind_all()
        self.m.qmp("system_reset")
        self.m.wait_ready()
        self.bind(3, [VECTOR])

    def test_33_at_a_time_are_refused(self):
        self.start(cpus="6")
        for cpu in range(4):
            first = 0x30 + MOST_BINDINGS * cpu
            self.bind(cpu, range(first, first + MOST_BINDINGS))
        with self.assertRaises(Refused):
            self.bind(4, [VECTOR])
        self.m.wrmsr(0, MSR_REGISTER, 0)
        self.bind(4, [VECTOR])


class Unmapped(Files):
    """A word in the RAM of a device that was plugged in, and has its BAR where
    the destination's device has none yet when its registration is loaded."""

    options = Base.options
    bar = 0xe0000000
    memory = "memory-backend-ram,id=mb,size=1M,share=on"
    device = "ivshmem-plain,id=iv,memdev=mb,addr=0x5,master=on"

    def config(self, register, value):
        self.select(register, 5)
        self.outl(0xcfc, value)

    def prepared(self):
        self.start(machine="pc")
        self.m.qmp("object-add", qom_type="memory-backend-ram", id="mb",
                   size=1 << 20, share=True)
        self.m.qmp("device_add", driver="ivshmem-plain", id="iv", memdev="mb",
                   addr="0x5", master="on")
        self.config(0x18, self.bar)
        self.config(0x1c, 0)
        self.config(0x04, 2)
        self.m.w32(self.bar, ACCEPT)
        self.register(3, binding(self.bar),
                      binding(word(3), OTHER, bit=1 << 9))
        self.m.w32(word(3), ACCEPT)
        self.ipi(3)
        self.assertEqual(self.m.r32(self.bar), ACCEPT | BIT)
        self.m.qmp("migrate", uri=f"file:{self.file}")
        self.m.wait_migrated()
        self.m.close()

    def arrive(self, *args):
        self.m = self.boot(*args, "-incoming", f"file:{self.file}", boot=False,
                           machine="pc")
        self.m.wait_migrated()

    def test_word_appears_with_its_device(self):
        self.prepared()
        self.arrive("-object", self.memory, "-device", self.device)
        self.assertEqual(self.m.r32(self.bar), ACCEPT | BIT)
        self.ipi(3)
        self.ipi(3, OTHER)
        self.assertEqual(self.m.counters(3, VECTOR), {"coalesced": 1})
        self.assertEqual(self.m.counters(3, OTHER), {"deferred": 1})
        self.assertEqual(self.m.taken(3, VECTOR), 0)

    def test_guest_that_bound_a_word_nowhere_arrives(self):
        """As when its memory goes on a host: that word is lost (I4)."""
        self.start()
        hole = 0xd0000
        self.pam(hole, 3)
        self.register(3, binding(hole),
                      binding(word(3), OTHER, bit=1 << 9))
        self.m.w32(word(3), ACCEPT)
        self.m.write(table(3), bytes(64))
        self.m.qmp("stop")
        self.m.qmp("migrate", uri=f"exec:cat >{self.file}")
        self.m.wait_migrated()
        self.m.close()
        with open(self.file, "rb") as stream:
            data = stream.read()
        bad = struct.pack("<Q", 0xfe000000)
        good = binding(hole)
        self.assertEqual(data.count(good), 1)
        with open(self.file, "wb") as stream:
            stream.write(data.replace(good, bad + good[8:]))
        self.m = self.boot("-incoming", f"exec:cat {self.file}", boot=False)
        self.m.wait_migrated()
        self.m.qmp("cont")
        first, second = self.m.defer(3)["bindings"]
        self.assertNotIn("word", first)
        self.assertEqual(second["word"], ACCEPT)
        self.ipi(3)
        self.ipi(3, OTHER)
        self.assertEqual(self.m.counters(3, VECTOR), {"delivered-bad-word": 1})
        self.assertEqual(self.m.counters(3, OTHER), {"deferred": 1})
        self.assertEqual(self.m.taken(3, VECTOR), 1)


class RamAfterAnotherBackend(Files):
    """Plain TCG (tcg/0003): the machine's RAM is not the first of all RAM, so that
    the dirty pages of one are not those of the other."""

    options = ()
    before_ram = ("-object", "memory-backend-ram,id=m0,size=1M,share=on",
                  "-device", "ivshmem-plain,memdev=m0,addr=5,master=on")

    def migrate(self, **kwargs):
        self.start(*self.before_ram, **kwargs)
        self.m.w32(word(3), 0x12345678)
        self.m.qmp("migrate", uri=f"file:{self.file}")
        self.m.wait_migrated()

    def test_it_migrates(self):
        self.migrate()
        self.m.close()
        self.m = self.boot(*self.before_ram, "-incoming", f"file:{self.file}",
                           boot=False)
        self.m.wait_migrated()
        self.assertEqual(self.m.r32(word(3)), 0x12345678)

    @unittest.skipUnless(test_qemu.STOCK, "IPIDEFER_QEMU_STOCK is not set")
    def test_it_does_not_without_the_series(self):
        """The control. Fails once Debian's QEMU no longer needs tcg/0003."""
        with self.assertRaises(Failed):
            self.migrate(qemu=test_qemu.STOCK)
        self.assertEqual(self.m.process.wait(30), -signal.SIGABRT)


class Postcopy(Files):
    """The guest runs here while most of its memory is where it came from."""

    options = DOORBELL

    def requested(self):
        """@return the pages of RAM that have been asked for, as addresses"""
        with open(self.log) as log:
            return {int(offset, 16) for offset in re.findall(
                r"fault_thread_request .* rb=pc\.ram offset=0x([0-9a-f]+)",
                log.read())}

    def start_postcopy(self, *args, **kwargs):
        """CPU 3's word has work and stays behind.

        @return the machine that it came from
        """
        path = os.path.join(self.scratch, "socket")
        self.log = os.path.join(self.scratch, "log")
        self.start()
        self.register(3)
        self.m.w32(word(3), ACCEPT)
        self.send(VECTOR, 3)
        # Pages are sent by ascending address, and these are before the word's.
        self.m.tell(0, "pages", 2 * MIB, 2 * MIB // 4096, 0x12345678)
        source = self.m
        self.m = self.boot("-incoming", "defer", "-D", self.log, "-trace",
                           "postcopy_ram_fault_thread_request", *args,
                           boot=False, **kwargs)
        for m in source, self.m:
            m.qmp("migrate-set-capabilities", capabilities=[
                {"capability": "postcopy-ram", "state": True}])
        self.m.qmp("migrate-incoming", uri=f"unix:{path}")
        # So slow that no page comes unless it is asked for.
        source.qmp("migrate-set-parameters", max_bandwidth=4096,
                   max_postcopy_bandwidth=4096)
        source.qmp("migrate", uri=f"unix:{path}")
        source.qmp("migrate-start-postcopy")
        self.wait_until("the guest runs here",
                        lambda: self.m.qmp("query-status")["running"])
        return source

    def finish(self, source):
        source.qmp("migrate-set-parameters", max_postcopy_bandwidth=0)
        source.wait_migrated()
        self.m.wait_migrated()

    def test_senders_do_not_wait_for_the_page(self):
        """Else one would, with a lock that the main loop needs."""
        source = self.start_postcopy()
        self.send(VECTOR, 3)
        self.assertEqual(self.m.counters(3, VECTOR), {"delivered-bad-word": 1})
        self.assertEqual(self.m.taken(3, VECTOR), 1)
        self.assertNotIn(word(3), self.requested())
        self.m.qmp("query-ipi-defer")
        self.finish(source)
        # What was recorded there is still to be done, and no word is lost.
        self.assertEqual(self.m.r32(word(3)), ACCEPT | BIT)
        self.send(VECTOR, 3)
        self.assertEqual(self.m.counters(3, VECTOR),
                         {"delivered-bad-word": 1, "coalesced": 1})
        self.assertEqual(self.m.taken(3, VECTOR), 1)

    def send(self, low, dest):
        self.m.ring(0, dest << 32 | low)

    def test_tick_does_not(self):
        """Else the main loop, with the BQL, would wait for the page."""
        source = self.start_postcopy(options=(
            "-object", "ipi-defer,id=d0,isolated-cpus=2-3,idle=on,doorbell=on,"
            "icr=off,segment=on,segment-name=postcopy,max-age-ns=1000,"
            f"segment-dir={self.scratch}"))
        time.sleep(1)           # That is ten ticks and more.
        # Nor does the monitor.
        self.assertNotIn("word", self.m.defer(3)["bindings"][0])
        self.assertNotIn(word(3), self.requested())
        self.finish(source)
        self.wait_until("a tick that looks at the word", lambda:
                        self.m.counters(3, VECTOR).get("max-age"))
        self.assertEqual(self.m.r32(word(3)), ACCEPT | BIT)


class PostcopyIcr(Postcopy):
    """The local APIC asks with QEMU's big lock held."""

    options = Base.options
    test_tick_does_not = None

    def send(self, low, dest):
        Base.send(self, low, dest)


class Offer(Files):
    """What the guest found in CPUID must be there where it goes."""

    combinations = {
        "icr": ("icr=on,doorbell=off", "icr"),
        "bell": ("icr=off,doorbell=on", "doorbell, doorbell-multi"),
        "one": ("icr=off,doorbell=on,doorbell-multi=off", "doorbell"),
        "both": ("icr=on,doorbell=on", "icr, doorbell, doorbell-multi"),
    }

    def object(self, name):
        return ("-object", "ipi-defer,id=d0,isolated-cpus=2-3,"
                + self.combinations[name][0])

    def test_any_two_that_differ_are_refused(self):
        for source, (_, theirs) in self.combinations.items():
            self.start(options=self.object(source))
            self.m.qmp("stop")
            self.m.qmp("migrate", uri=f"file:{self.file}")
            self.m.wait_migrated()
            self.m.close()
            for target, (_, ours) in self.combinations.items():
                with self.subTest(source=source, target=target):
                    self.m = self.boot("-incoming", "defer", boot=False,
                                       options=self.object(target))
                    self.m.qmp("migrate-incoming", uri=f"file:{self.file}",
                               exit_on_error=False)
                    if source == target:
                        self.m.wait_migrated()
                    else:
                        with self.assertRaises(Failed):
                            self.m.wait_migrated()
                        self.assertIn(
                            f"ipi-defer: the guest was offered {theirs}, and "
                            f"here it would find {ours} in CPUID; set icr, "
                            "doorbell and doorbell-multi of the object as they "
                            "are at the source", self.m.output())
                    self.m.close()

    def test_multi_needs_a_doorbell(self):
        with self.assertRaisesRegex(Failed, "doorbell-multi=on needs "
                                    "doorbell=on"):
            self.boot(options=("-object", "ipi-defer,id=d0,doorbell-multi=on"))

    def test_without_multi_there_is_no_such_msr(self):
        self.start(options=self.object("one"))
        self.assertEqual(self.m.cpuid(test_qemu.CPUID_BASE + 1)[1], 2)
        self.m.wrmsr(0, test_qemu.MSR_ICR_MULTI, 1)     # TCG ignores unknown ones
        self.assertEqual(
            self.m.qmp("query-ipi-defer")["doorbell-refused"], 0)

    def test_confidential_guest_is_refused(self):
        with self.assertRaisesRegex(
                Failed, "ipi-defer: not for a confidential guest "
                r"\(sev-guest\), QEMU cannot record anything in its memory"):
            self.boot("-object", "sev-guest,id=sev0,cbitpos=47,"
                      "reduced-phys-bits=1",
                      machine="q35,confidential-guest-support=sev0")


class Fuzz(Files):
    """Damaged snapshots, loaded one after another into one QEMU that has loaded
    the others before: it lives, and each vCPU is wholly registered or not at all
    (I7). QEMU reads the bytes that are changed here from the image each time."""

    def saved(self):
        """@return the image's path, and where in it our sections are."""
        disk = self.disk()
        self.start(*disk)
        self.bind(2, [VECTOR])
        self.bind(3, [VECTOR, OTHER])
        # Else the tables' pages would be in the image as well.
        self.m.write(table(2), bytes(64))
        self.m.write(table(3), bytes(64))
        self.assertEqual(self.snapshot("save"), "")
        image = os.path.join(self.scratch, "disk.qcow2")
        with open(image, "rb") as file:
            data = file.read()
        begin = data.index(b"\x0fipi-defer-offer")
        end = data.rindex(binding(word(3), OTHER, bit=1 << 9)) + 32 * 7
        self.assertLess(end - begin, 2048)
        return image, begin, end, data[begin:end]

    def damaged(self, rng, data):
        """As long as before."""
        length = len(data)
        data = bytearray(data)
        at, other = rng.randrange(length), rng.randrange(length)
        count = rng.choice((1, 1, 4, 8, 32, 300))
        kind = rng.randrange(5)
        if kind == 0:           # nothing follows
            data[at:] = bytes(length - at)
        elif kind == 1:
            for _ in range(rng.choice((1, 1, 2, 8))):
                data[rng.randrange(length)] ^= 1 << rng.randrange(8)
        elif kind == 2:
            data[at:at + count] = rng.randbytes(count)
        elif kind == 3:         # a piece twice
            data[other:other] = data[at:at + count]
        else:                   # a piece is missing
            del data[at:at + count]
            data += bytes(count)
        return data[:length]

    def test_loads(self):
        image, begin, end, data = self.saved()
        rng = random.Random(FUZZ_SEED)
        loaded = refused = 0
        with open(image, "r+b", buffering=0) as file:
            for n in range(FUZZ_LOADS):
                where = f"IPIDEFER_FUZZ_SEED={FUZZ_SEED}, load {n}"
                file.seek(begin)
                file.write(self.damaged(rng, data))
                try:
                    error = self.snapshot("load")
                    self.assert_sound()
                    if n % 20 == 0:
                        self.assert_alive()
                except (Failed, AssertionError) as error:
                    if self.m.process.poll() is None:
                        time.sleep(1)
                    self.fail(f"{where}: {error}; QEMU's status "
                              f"{self.m.process.poll()}\n{self.m.output()}")
                loaded += not error
                refused += bool(error)
            print(f"{loaded} loaded, {refused} refused, seed {FUZZ_SEED}",
                  file=sys.stderr)
            self.assertGreater(refused, 0)
            # And what is whole loads as ever.
            file.seek(begin)
            file.write(data)
            self.assertEqual(self.snapshot("load"), "")
        self.assertEqual(len(self.m.defer(3)["bindings"]), 2)
        self.assert_alive()

    def test_truncated_streams(self):
        """A stream that ends: a machine for each, so some bytes only."""
        self.start()
        self.bind(3, [VECTOR])
        self.m.write(table(3), bytes(64))
        self.m.qmp("stop")
        self.m.qmp("migrate", uri=f"exec:cat >{self.file}")
        self.m.wait_migrated()
        self.m.close()
        with open(self.file, "rb") as stream:
            data = stream.read()
        begin = data.index(b"\x0fipi-defer-offer")
        end = data.rindex(binding(word(3))) + 32 * 8
        rng = random.Random(FUZZ_SEED)
        for length in rng.sample(range(begin, end), max(8, FUZZ_LOADS // 20)):
            with open(self.file, "wb") as stream:
                stream.write(data[:length])
            self.m = self.boot("-incoming", "defer", boot=False)
            self.m.qmp("migrate-incoming", uri=f"exec:cat {self.file}",
                       exit_on_error=False)
            with self.assertRaises(Failed):
                self.m.wait_migrated()
            self.assertFalse(self.m.defer(3)["registered"], f"{length} bytes")
            self.assertIsNone(self.m.process.poll())
            self.m.close()


if __name__ == "__main__":
    sys.exit(test_qemu.main())
