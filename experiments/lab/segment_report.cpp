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
            const segment::Counters counters =
                segment.counters(i, typed[i], vcpu);
            if (counters.sum() == 0) continue;
            Verdicts& verdicts = report[{vcpu, typed[i]}];
            for (unsigned v = IPIDEFER_DEFERRED; v < IPIDEFER_VERDICTS; ++v)
                verdicts.count.at(v) = counters.of(v);
        }
    vm.check();
    return report;
}

}  // namespace ipidefer::lab
