// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/trace/timeline.hpp"

#include <algorithm>

namespace ipidefer::trace {

void Timeline::add(const segment::Clock& clock)
{
    if (!samples_.empty() &&
        (clock.sample.tsc <= samples_.back().tsc ||
         clock.sample.monotonic_ns < samples_.back().monotonic_ns))
        return;
    newest_ = clock;
    if (samples_.size() == kMostSamples) {
        // The first and the last stay.
        std::size_t kept = 0;
        for (std::size_t i = 0; i < samples_.size(); i += 2)
            samples_[kept++] = samples_[i];
        samples_[kept - 1] = samples_.back();
        samples_.resize(kept);
    }
    samples_.push_back(clock.sample);
}

std::int64_t Timeline::ns(std::uint64_t tsc) const
{
    const auto behind = std::ranges::upper_bound(samples_, tsc, {},
                                                 &ipidefer_clock_sample::tsc);
    // Before the first sample, or after the last one: by the frequency.
    if (behind == samples_.begin() || behind == samples_.end()) {
        segment::Clock clock = newest_;
        clock.sample =
            behind == samples_.end() ? samples_.back() : samples_.front();
        return clock.monotonic_ns(tsc).value_or(static_cast<std::int64_t>(tsc));
    }
    const ipidefer_clock_sample& from = *(behind - 1);
    if (newest_.tsc_hz == 0) return static_cast<std::int64_t>(tsc);
    const double share = static_cast<double>(tsc - from.tsc) /
                         static_cast<double>(behind->tsc - from.tsc);
    return static_cast<std::int64_t>(
        from.monotonic_ns +
        static_cast<std::uint64_t>(
            share *
            static_cast<double>(behind->monotonic_ns - from.monotonic_ns)));
}

}  // namespace ipidefer::trace
