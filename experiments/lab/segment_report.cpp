// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/segment_report.hpp"

namespace ipidefer::lab {

SegmentReport read_segment(const segment::OpenVm& vm)
{
    SegmentReport report;
    const auto& segment = vm.segment();
    const auto typed = segment.typed();
    for (std::size_t i = 0; i < typed.size(); ++i)
        for (unsigned vcpu = 0; vcpu < segment.vcpus(); ++vcpu) {
            terms::VerdictCounts counts = segment.counters(i, typed[i], vcpu);
            counts.max_age = 0;  // query-ipi-defer does not have it
            if (counts.sum() != 0) report[{vcpu, typed[i]}] += counts;
        }
    vm.check();
    return report;
}

}  // namespace ipidefer::lab
