# SPDX-License-Identifier: GPL-2.0-or-later
"""Patched Linux guests that do what a test says over a serial port: suspend, kexec and
crash; the oracles of deferred work, with nested guests, too; and trace filters, which
must mean what the kernel's do."""
