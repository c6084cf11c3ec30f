# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab on real guests, for minutes: what a good run shows, and that a bad one is seen."""
