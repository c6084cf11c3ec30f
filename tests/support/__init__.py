# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests have in common: machines and guests, and what they need from outside."""
