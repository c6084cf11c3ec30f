// SPDX-License-Identifier: GPL-2.0-or-later
// Comparability: whether the counts of two reports are those of one experiment,
// so that a difference between them means something.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "experiments/report/lab_report.hpp"

namespace ipidefer::compare {

using report::LabReport;

/// What may differ when that is what the comparison is about.
enum class Across { kKernel, kQemu, kAccelerator };

/// Why they cannot be compared, a sentence each; empty when they can.
[[nodiscard]] std::vector<std::string> obstacles(
    const LabReport& base, const LabReport& now,
    const std::set<Across>& across);

/// What differs or is missing and does not keep them from being compared.
[[nodiscard]] std::vector<std::string> notes(const LabReport& base,
                                             const LabReport& now);

}  // namespace ipidefer::compare
