# SPDX-License-Identifier: GPL-2.0-or-later
"""Domains of libvirt: their XML, and running ones on a libvirtd of the test's own.

Not named after libvirt, whose module would be hidden from whoever runs pytest here.
"""
