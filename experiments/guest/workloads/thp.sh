#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Transparent huge pages: small pages are collapsed, and their page table is freed.
exec lab-huge-pages "$((${LAB_ROUNDS:-5} * 4))"
