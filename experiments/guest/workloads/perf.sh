#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Perf: events of processes and of the housekeeping CPUs, opened and closed. An event
# on an isolated CPU has to interrupt it, so there are none.
rounds=${LAB_ROUNDS:-5}
lab-perf-events counting "$rounds" || exit
lab-perf-events sampling "$rounds" || exit
lab-perf-events tracepoint "$rounds"
status=$?
# Without tracing there are still the others.
[ $status -eq 77 ] || exit $status
