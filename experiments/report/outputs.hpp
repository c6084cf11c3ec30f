// SPDX-License-Identifier: GPL-2.0-or-later
// A lab's report in the shapes that other tools read. docs/LAB.md describes
// them.
#pragma once

#include <string>

#include "experiments/report/lab_report.hpp"

namespace ipidefer::report {

/// One line for each number of each run, with a head: run, repetition, arm,
/// mode, workload, kind, row, value, unit (RFC 4180).
[[nodiscard]] std::string to_csv(const LabReport& report);

/// A table for each workload, GitHub's flavour, with medians where there are
/// repetitions, and where it comes from.
[[nodiscard]] std::string to_markdown(const LabReport& report);

/// A suite for each workload, in it a case for each run: it fails if guest and
/// VMM do not agree. What the host starved is skipped, and what ended the lab
/// is an error.
[[nodiscard]] std::string to_junit(const LabReport& report);

/// One page that needs nothing else: tables, plots, where it comes from, and
/// how to do it again. Throws a Failure where no plots can be drawn.
[[nodiscard]] std::string to_html(const LabReport& report);

/// The gaps of one run, or of all repetitions of one mode, as what oslat(8)
/// writes with --json: microseconds, rounded up.
/// @param runs of one workload; not empty
[[nodiscard]] std::string to_oslat(const LabReport& report,
                                   const LabRuns& runs);

/// The same as HdrHistogram's percentile distribution, in microseconds, of all
/// their vCPUs together.
[[nodiscard]] std::string to_hgrm(const LabRuns& runs);

}  // namespace ipidefer::report
