// SPDX-License-Identifier: GPL-2.0-or-later
// What the VM's segment says the VMM did with typed IPIs: the same as
// query-ipi-defer, on another way.
#pragma once

#include <map>
#include <utility>

#include "experiments/lab/verdict_report.hpp"
#include "host/segment/open.hpp"

namespace ipidefer::lab {

/// By vCPU and vector; only what was ever counted.
using SegmentReport =
    std::map<std::pair<unsigned, unsigned>, terms::VerdictCounts>;

/// Throws a Failure when the segment is truncated.
[[nodiscard]] SegmentReport read_segment(const segment::OpenVm& vm);

}  // namespace ipidefer::lab
