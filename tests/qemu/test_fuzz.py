# SPDX-License-Identifier: GPL-2.0-or-later
"""Damaged streams and snapshots.

IPIDEFER_FUZZ_LOADS is how many damaged snapshots are loaded, 200 if it is not set;
IPIDEFER_FUZZ_SEED picks them.
"""
import os
import random
import sys
import time

import pytest

from tests.support.contract import OTHER, VECTOR, binding, table, word
from tests.support.machine import Failed
from tests.support.migration import (assert_alive, assert_sound, bind, make_disk, save,
                                     snapshot)

pytestmark = [pytest.mark.qemu, pytest.mark.ctest(timeout=900, processors=2)]
LOADS = int(os.environ.get("IPIDEFER_FUZZ_LOADS", "200"))
SEED = int(os.environ.get("IPIDEFER_FUZZ_SEED", "0")) or \
    random.SystemRandom().getrandbits(32)


def saved(boot, folder):
    """@return the machine, the image's path, and where in it our sections are."""
    image = folder / "disk.qcow2"
    disk = make_disk(boot, image)
    vm = boot(*disk)
    bind(vm, 2, [VECTOR])
    bind(vm, 3, [VECTOR, OTHER])
    # Else the tables' pages would be in the image as well.
    vm.write(table(2), bytes(64))
    vm.write(table(3), bytes(64))
    assert snapshot(vm, "save") == ""
    data = image.read_bytes()
    begin = data.index(b"\x0fipi-defer-offer")
    end = data.rindex(binding(word(3), OTHER, bit=1 << 9)) + 32 * 7
    assert end - begin < 2048
    return vm, image, begin, data[begin:end]


def damaged(rng, data):
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


class TestFuzz:
    """Damaged snapshots, loaded one after another into one QEMU that has loaded
    the others before: it lives, and each vCPU is wholly registered or not at all
    (I7). QEMU reads the bytes that are changed here from the image each time."""

    def test_loads(self, boot, tmp_path):
        vm, image, begin, data = saved(boot, tmp_path)
        rng = random.Random(SEED)
        loaded = refused = 0
        with open(image, "r+b", buffering=0) as file:
            for n in range(LOADS):
                where = f"IPIDEFER_FUZZ_SEED={SEED}, load {n}"
                file.seek(begin)
                file.write(damaged(rng, data))
                try:
                    error = snapshot(vm, "load")
                    assert_sound(vm)
                    if n % 20 == 0:
                        assert_alive(vm)
                except (Failed, AssertionError) as failure:
                    if vm.process.poll() is None:
                        time.sleep(1)
                    pytest.fail(f"{where}: {failure}; QEMU's status "
                              f"{vm.process.poll()}\n{vm.output()}")
                loaded += not error
                refused += bool(error)
            print(f"{loaded} loaded, {refused} refused, seed {SEED}",
                  file=sys.stderr)
            assert refused > 0
            # And what is whole loads as ever.
            file.seek(begin)
            file.write(data)
            assert snapshot(vm, "load") == ""
        assert len(vm.defer(3)["bindings"]) == 2
        assert_alive(vm)

    def test_truncated_streams(self, boot, tmp_path):
        """A stream that ends: a machine for each, so some bytes only."""
        stream = tmp_path / "stream"
        vm = boot()
        bind(vm, 3, [VECTOR])
        vm.write(table(3), bytes(64))
        vm.qmp("stop")
        save(vm, f"exec:cat >{stream}")
        data = stream.read_bytes()
        begin = data.index(b"\x0fipi-defer-offer")
        end = data.rindex(binding(word(3))) + 32 * 8
        rng = random.Random(SEED)
        for length in rng.sample(range(begin, end), max(8, LOADS // 20)):
            stream.write_bytes(data[:length])
            vm = boot("-incoming", "defer", boot=False)
            vm.qmp("migrate-incoming", uri=f"exec:cat {stream}",
                   exit_on_error=False)
            with pytest.raises(Failed):
                vm.wait_migrated()
            assert not vm.defer(3)["registered"], f"{length} bytes"
            assert vm.process.poll() is None
            vm.close()
