# SPDX-License-Identifier: GPL-2.0-or-later
"""The host tools as whole programs, and what is installed beside them."""
