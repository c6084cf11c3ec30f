// SPDX-License-Identifier: GPL-2.0-or-later
// Reports for tests.
#pragma once

#include <string>

#include "experiments/report/lab_report.hpp"

namespace ipidefer::report::test {

/// A run of "mixed" with one isolated vCPU, which takes `calls` function calls.
/// @param arm as in "hv" or "off/A"
inline LabRun run_of(const std::string& arm, unsigned repetition,
                     std::uint64_t calls)
{
    LabRun run;
    run.workload = "mixed";
    run.mode = arm.substr(0, arm.find('/'));
    run.arm = arm;
    run.repetition = repetition;
    run.milliseconds = 1500;
    run.events = {{"do_sync_core", calls}};
    run.interrupts = {{"CAL", calls}, {"RES", 0}};
    run.isolated = {2};
    run.loops[2] = {3, 2'500'000, {{100, 97}, {1'500, 2}, {2'600'000, 1}}};
    return run;
}

}  // namespace ipidefer::report::test
