#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Nothing: what the isolated vCPUs see anyway.
sleep 2
