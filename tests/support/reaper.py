#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Start a program again and again, and reap whatever its processes leave.

    reaper.py PROGRAM [ARGUMENT]...

A line on standard input starts the program; the end of input ends this, and
nothing else. libvirtd's children are orphans by design: without somebody who
reaps them at once, it waits for zombies.
"""
import ctypes
import os
import signal
import sys

PR_SET_CHILD_SUBREAPER = 36


def reap(*_):
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
    sys.exit(f"PR_SET_CHILD_SUBREAPER: {os.strerror(ctypes.get_errno())}")
signal.signal(signal.SIGCHLD, reap)
for _ in sys.stdin:
    os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ,
                   file_actions=[(os.POSIX_SPAWN_OPEN, 0, "/dev/null",
                                  os.O_RDONLY, 0)])
