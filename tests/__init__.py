# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of whole programs and guests, and of the repository itself."""
import os
import sys

# Nothing that a run leaves lies among the sources. This file is compiled, and its
# bytecode written, before it can say so.
sys.dont_write_bytecode = True
cached = sys.modules[__name__].__spec__.cached
if cached and os.path.exists(cached):
    os.unlink(cached)
    if not os.listdir(os.path.dirname(cached)):
        os.rmdir(os.path.dirname(cached))
