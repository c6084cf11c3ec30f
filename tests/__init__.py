# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of whole programs and guests, and of the repository itself."""
import os
import sys

# Nothing that a run leaves lies among the sources. This file is compiled, and its
# bytecode written, before it can say so.
sys.dont_write_bytecode = True
if __cached__ and os.path.exists(__cached__):
    os.unlink(__cached__)
    try:
        os.rmdir(os.path.dirname(__cached__))
    except OSError:
        pass
