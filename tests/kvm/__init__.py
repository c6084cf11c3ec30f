# SPDX-License-Identifier: GPL-2.0-or-later
"""Freestanding guests under ipidefer-vmm, on real KVM."""
