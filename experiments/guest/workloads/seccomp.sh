#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Seccomp: processes that filter their system calls, and end. Filters are BPF, in
# memory that is made executable, and given back.
exec lab-seccomp "$((${LAB_ROUNDS:-5} * 20))"
