# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel series and its build (guest-patches/linux-6.12), without a guest."""
