# SPDX-License-Identifier: GPL-2.0-or-later
"""Freestanding guests (guest/puppet.c) under the patched QEMU.

I1 to I7 are the invariants of docs/ORDERING.md.
"""
