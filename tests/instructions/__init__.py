# SPDX-License-Identifier: GPL-2.0-or-later
"""What an IPI costs under KVM, counted by a plugin of TCG; by hand."""
